import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaja.v1 import BatchSearchRequest, EncodeRequest, SearchRequest
from server.errors import InvalidRequest
from server.rpc import field_count
from server.rpc.field_count import LARGE_BYTES, MAX_FIELDS, checked

EMPTY = b"\x0a\x00"
FIELDS = [b"\x08\x96\x01", b"\x11" + bytes(8), b"\x1d" + bytes(4), b"\x22\x03abc"]


def test_a_message_may_have_the_maximum_of_fields_and_no_more() -> None:
    assert checked(EMPTY * MAX_FIELDS) == EMPTY * MAX_FIELDS
    with pytest.raises(InvalidRequest, match="has more than 100000 fields: split the call"):
        checked(EMPTY * (MAX_FIELDS + 1))


@given(
    st.lists(
        st.sampled_from([b"\x08\x96\x01", b"\x11" + bytes(8), b"\x1d" + bytes(4), b"\x22\x03abc"]),
        min_size=1,
        max_size=9,
    )
)
def test_fields_of_every_type_are_counted(fields: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(field_count, "LARGE_BYTES", 0)
        patch.setattr(field_count, "MAX_FIELDS", len(fields))
        assert checked(b"".join(fields)) == b"".join(fields)
        patch.setattr(field_count, "MAX_FIELDS", len(fields) - 1)
        with pytest.raises(InvalidRequest):
            checked(b"".join(fields))


@pytest.mark.parametrize("begin", [b"\x0b", b"\x0f", b"\x0a" + b"\xff" * 9, b"\x11", b"\x80" * 20])
def test_the_decoder_judges_malformed_messages(begin: bytes) -> None:
    message = begin + bytes(LARGE_BYTES) if begin != b"\x11" else EMPTY * LARGE_BYTES + begin
    assert checked(message[: 2 * MAX_FIELDS]) == message[: 2 * MAX_FIELDS]


def test_elements_within_elements_do_not_count() -> None:
    batch = BatchSearchRequest(requests=[SearchRequest(query="카드" * 500)] * 100)
    texts = EncodeRequest(texts=["x" * 10_000] * 256)
    for request in (batch, texts):
        assert type(request).FromString(checked(request.SerializeToString())) == request
