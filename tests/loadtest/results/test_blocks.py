import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.results.blocks import FRAME, LARGEST_BYTES, MAGIC, CutShort, Kind, read_blocks, write_block, write_json

BLOCKS = st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=60)), max_size=6)
JSON = st.dictionaries(
    st.text(max_size=8), st.one_of(st.integers(-(2**53), 2**53), st.text(max_size=8), st.none(), st.booleans())
)


def written(blocks: list[tuple[Kind, bytes]]) -> bytes:
    file = io.BytesIO()
    for kind, payload in blocks:
        write_block(file, kind, payload)
    return file.getvalue()


def read(data: bytes) -> tuple[list[tuple[Kind, bytes]], str]:
    """Returns the blocks, and the error that ended them."""
    found: list[tuple[Kind, bytes]] = []
    try:
        for block in read_blocks(io.BytesIO(data)):
            found.append((block.kind, block.payload))
    except CutShort as error:
        return found, str(error)
    return found, ""


@settings(max_examples=100, deadline=None)
@given(BLOCKS)
def test_blocks_survive_a_round_trip(blocks: list[tuple[Kind, bytes]]) -> None:
    assert read(written(blocks)) == (blocks, "")


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_json_survives_a_round_trip_and_is_standard(value: dict[str, object]) -> None:
    file = io.BytesIO()
    write_json(file, Kind.VITALS, value)
    assert json.loads(file.getvalue()[FRAME.size :]) == value
    file.seek(0)
    (block,) = read_blocks(file)
    assert block.kind == Kind.VITALS
    assert block.json() == value


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_data_that_is_no_block_is_rejected(data: bytes) -> None:
    found, reason = read(data)
    assert found == []
    assert bool(reason) == bool(data)


def test_an_absurd_length_is_rejected() -> None:
    with pytest.raises(CutShort, match="no block"):
        next(read_blocks(io.BytesIO(FRAME.pack(MAGIC, Kind.RECORDS, LARGEST_BYTES + 1, 0))))
