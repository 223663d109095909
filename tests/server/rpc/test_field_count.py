import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaja.v1 import BatchSearchRequest, Document, EncodeRequest, SearchRequest, Upsert, UpsertDocumentsRequest
from server.errors import InvalidRequest
from server.rpc import field_count
from server.rpc.field_count import MAX_ELEMENTS, check_elements

EMPTY = b"\x0a\x00"
FIELDS = [b"\x08\x96\x01", b"\x11" + bytes(8), b"\x1d" + bytes(4), b"\x22\x03abc"]


def upsert(attribute_count: int, *, nested: bool = False) -> UpsertDocumentsRequest:
    document = Document(id="a")
    attributes = {f"{number}": True for number in range(attribute_count)}
    document.attributes.update({"struct": attributes} if nested else attributes)
    return UpsertDocumentsRequest(upserts=[Upsert(document=document)])


def check(request: UpsertDocumentsRequest | BatchSearchRequest | EncodeRequest) -> None:
    check_elements(request.SerializeToString(), request.DESCRIPTOR)


def test_a_message_may_have_the_maximum_of_elements_and_no_more() -> None:
    check_elements(EMPTY * MAX_ELEMENTS, BatchSearchRequest.DESCRIPTOR)
    with pytest.raises(InvalidRequest, match="has more than 100000 elements: split the call"):
        check_elements(EMPTY * (MAX_ELEMENTS + 1), BatchSearchRequest.DESCRIPTOR)


@pytest.mark.parametrize("nested", [False, True])
def test_entries_of_maps_count_at_any_depth(nested: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_count, "MAX_ELEMENTS", 100)
    check(upsert(98, nested=nested))
    with pytest.raises(InvalidRequest):
        check(upsert(101, nested=nested))


@given(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=9))
def test_fields_of_every_type_are_counted(fields: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(field_count, "MAX_ELEMENTS", len(fields))
        check_elements(b"".join(fields), EncodeRequest.DESCRIPTOR)
        patch.setattr(field_count, "MAX_ELEMENTS", len(fields) - 1)
        with pytest.raises(InvalidRequest):
            check_elements(b"".join(fields), EncodeRequest.DESCRIPTOR)


@given(st.binary(max_size=200))
def test_the_decoder_judges_malformed_messages(message: bytes) -> None:
    check_elements(message, UpsertDocumentsRequest.DESCRIPTOR)


def test_a_deep_message_does_not_exhaust_the_stack() -> None:
    message = b""
    for _ in range(2000):  # A struct in the value of an entry of a struct, and so on.
        value = b"\x2a" + _sized(message)
        message = b"\x0a" + _sized(b"\x12" + _sized(value))
    check_elements(b"\x0a" + _sized(b"\x0a" + _sized(b"\x2a" + _sized(message))), UpsertDocumentsRequest.DESCRIPTOR)


def test_elements_within_elements_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_count, "MAX_ELEMENTS", 100)
    check(BatchSearchRequest(requests=[SearchRequest(query="카드" * 500, limit=3)] * 100))
    check(EncodeRequest(texts=["x" * 1000] * 100))


def _sized(content: bytes) -> bytes:
    size, prefix = len(content), bytearray()
    while size > 0x7F:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*prefix, size]) + content
