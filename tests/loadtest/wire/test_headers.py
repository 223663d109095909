from __future__ import annotations

import contextlib
import re
import urllib.parse

import pytest
from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError
from hpack.struct import NeverIndexedHeaderTuple
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import UsageError
from loadtest.wire.headers import HeaderReader, ResponseHeaders, grpc_timeout, request_headers

UNIT_SECONDS = {"u": 1e-6, "m": 1e-3, "S": 1.0, "H": 3600.0}
NAMES = st.from_regex(r"[0-9a-z_.-]{1,130}", fullmatch=True)
LENGTHS = st.sampled_from([0, 1, 126, 127, 128, 129, 254, 255, 256, 1000])
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=150) | LENGTHS.map("v".__mul__)


def _decoded(block: bytes) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in Decoder().decode(block)]


def _block(*metadata: tuple[str, str], path: str = "/a.B/C") -> bytes:
    return request_headers(path, authority="host:1", scheme="http", timeout_seconds=2, metadata=metadata)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), VALUES)
def test_what_is_written_is_read_back(metadata: list[tuple[str, str]], path: str) -> None:
    assert _decoded(_block(*metadata, path=path)) == [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "host:1"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("grpc-timeout", "2000000u"),
        ("user-agent", "chaja-loadtest"),
        *metadata,
    ]


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 129, 253, 254, 255, 256, 382, 383, 384, 10_000])
def test_a_value_of_any_length_is_read_back(length: int) -> None:
    assert _decoded(_block(("x-long", "v" * length)))[-1] == ("x-long", "v" * length)


def test_a_server_without_a_dynamic_table_reads_every_block_of_a_connection() -> None:
    decoder = Decoder()
    decoder.max_allowed_table_size = 0  # And the size is still 4096 until the client says otherwise: RFC 7541, 4.2.
    block = _block(("x-one", "1"))
    assert decoder.decode(block) == decoder.decode(block)


def test_only_the_token_is_never_to_be_indexed() -> None:
    fields = Decoder().decode(_block(("x-one", "1"), ("authorization", "Bearer secret")))
    assert [str(field[0]) for field in fields if isinstance(field, NeverIndexedHeaderTuple)] == ["authorization"]


def test_headers_that_do_not_fit_in_a_frame_are_refused() -> None:
    with pytest.raises(UsageError, match="16384 at most"):
        _block(("x-large", "v" * 16_384))


@given(st.floats(min_value=0, max_value=1e300))
def test_a_timeout_has_eight_digits_at_most_and_is_never_0(seconds: float) -> None:
    assert re.fullmatch(r"[1-9][0-9]{0,7}[umSH]", grpc_timeout(seconds))


@given(st.floats(min_value=1e-6, max_value=3e11))
def test_a_timeout_is_what_was_asked_for(seconds: float) -> None:
    text = grpc_timeout(seconds)
    unit = UNIT_SECONDS[text[-1]]
    assert abs(int(text[:-1]) * unit - seconds) <= max(unit, seconds * 1e-6)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "1u"),
        (1e-9, "1u"),
        (0.0005, "500u"),
        (1, "1000000u"),
        (99.999998, "99999998u"),
        (99.9999999, "100000m"),
        (100, "100000m"),
        (99_999.9999, "100000S"),
        (99_999_999.9, "27778H"),
        (1e30, "99999999H"),
    ],
)
def test_timeouts_take_the_finest_unit_that_fits(seconds: float, expected: str) -> None:
    assert grpc_timeout(seconds) == expected


def _encoder() -> Encoder:
    encoder = Encoder()
    encoder.header_table_size = 0
    return encoder


@pytest.mark.parametrize("huffman", [False, True])
def test_what_a_server_encodes_is_read(huffman: bool) -> None:
    encoder, reader = _encoder(), HeaderReader()
    start = encoder.encode(
        [(":status", "200"), ("content-type", "application/grpc"), ("x", "y" * 300)], huffman=huffman
    )
    end = encoder.encode([("grpc-status", "8"), ("grpc-message", "no room")], huffman=huffman)
    for _ in range(3):
        assert reader.read(start) == ResponseHeaders(200, None, "")
        assert reader.read(end) == ResponseHeaders(0, 8, "no room")


@given(st.text(), st.booleans())
def test_a_message_is_decoded(text: str, huffman: bool) -> None:
    sent = urllib.parse.quote(text.encode("utf-8", "replace"), safe=" +!/")
    block = _encoder().encode([("grpc-status", "2"), ("grpc-message", sent)], huffman=huffman)
    assert HeaderReader().read(block).message == text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize(
    ("sent", "read"), [("a+b", "a+b"), ("100%", "100%"), ("%zz%41", "%zzA"), ("%FF", "\ufffd"), ("%EB%8B%B5", "답")]
)
def test_a_message_that_is_badly_encoded_is_read_as_far_as_it_goes(sent: str, read: str) -> None:
    block = _encoder().encode([("grpc-status", "2"), ("grpc-message", sent)])
    assert HeaderReader().read(block).message == read


def test_more_blocks_than_are_kept_are_read() -> None:
    encoder, reader = _encoder(), HeaderReader()
    for number in range(3000):
        block = encoder.encode([("grpc-status", "0"), ("grpc-message", str(number))])
        assert reader.read(block).message == str(number)


@given(st.binary(max_size=60))
def test_garbage_is_read_or_refused_but_raises_nothing_else(block: bytes) -> None:
    with contextlib.suppress(HPACKError):
        HeaderReader().read(block)


@pytest.mark.parametrize("value", ["", "x", "1.5", "9" * 5000])
@pytest.mark.parametrize("name", [":status", "grpc-status"])
def test_a_status_that_is_no_number_is_refused(name: str, value: str) -> None:
    with pytest.raises(HPACKError):
        HeaderReader().read(_encoder().encode([(name, value)]))


def test_a_server_that_uses_the_dynamic_table_all_the_same_is_refused() -> None:
    encoder, reader = Encoder(), HeaderReader()
    fields = [("grpc-status", "0")]
    reader.read(encoder.encode(fields))
    with pytest.raises(HPACKError):
        reader.read(encoder.encode(fields))
