import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from chaja.v1 import BatchSearchRequest, Document, EncodeRequest, SearchRequest, Upsert, UpsertDocumentsRequest
from server.errors import InvalidRequest
from server.rpc import field_count
from server.rpc.field_count import MAX_FIELDS, check_fields

EMPTY = b"\x0a\x00"
GROUP = b"\xa3\x06\xa4\x06"
FIELDS = [b"\x08\x96\x01", b"\x11" + bytes(8), b"\x1d" + bytes(4), b"\x7a\x03abc"]


def sized(content: bytes) -> bytes:
    size, prefix = len(content), bytearray()
    while size > 0x7F:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*prefix, size]) + content


def in_filter(count: int) -> bytes:
    """Returns a search whose filter has empty values: `filter.is_in.values`."""
    values = b"\x12\x00" * count
    return SearchRequest(query="a").SerializeToString() + b"\x2a" + sized(b"\x12" + sized(values))


def upsert(attribute_count: int, *, nested: bool = False) -> UpsertDocumentsRequest:
    document = Document(id="a")
    attributes = {f"{number}": True for number in range(attribute_count)}
    document.attributes.update({"struct": attributes} if nested else attributes)
    return UpsertDocumentsRequest(upserts=[Upsert(document=document)])


def check(request: Message) -> None:
    check_fields(request.SerializeToString(), type(request).DESCRIPTOR)  # type: ignore[arg-type]


@pytest.mark.parametrize("before", [b"", GROUP])
def test_a_message_may_have_the_maximum_of_fields_and_no_more(before: bytes) -> None:
    marks = len(before) // 2
    check_fields(before + EMPTY * (MAX_FIELDS - marks), BatchSearchRequest.DESCRIPTOR)
    with pytest.raises(InvalidRequest, match="has more than 250000 fields: split the call"):
        check_fields(before + EMPTY * (MAX_FIELDS - marks + 1), BatchSearchRequest.DESCRIPTOR)


@pytest.mark.parametrize("nested", [False, True])
def test_entries_of_maps_count_at_any_depth(nested: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_count, "MAX_FIELDS", 100)
    check(upsert(20, nested=nested))
    with pytest.raises(InvalidRequest):
        check(upsert(26, nested=nested))


def test_elements_within_elements_count(monkeypatch: pytest.MonkeyPatch) -> None:
    request = BatchSearchRequest(requests=[SearchRequest.FromString(in_filter(50))])
    monkeypatch.setattr(field_count, "MAX_FIELDS", 54)
    check(request)
    monkeypatch.setattr(field_count, "MAX_FIELDS", 53)
    with pytest.raises(InvalidRequest):
        check(request)


@given(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=9))
def test_fields_of_every_type_are_counted(fields: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(field_count, "MAX_FIELDS", len(fields))
        check_fields(b"".join(fields), EncodeRequest.DESCRIPTOR)
        patch.setattr(field_count, "MAX_FIELDS", len(fields) - 1)
        with pytest.raises(InvalidRequest):
            check_fields(b"".join(fields), EncodeRequest.DESCRIPTOR)


def test_a_field_that_is_cut_off_does_not_hide_others() -> None:
    cut_off = b"\x0a" + sized(SearchRequest(query="a").SerializeToString())[:-1]
    many = b"\x0a" + sized(in_filter(MAX_FIELDS))
    with pytest.raises(InvalidRequest):
        check_fields(many + cut_off, BatchSearchRequest.DESCRIPTOR)


@given(st.binary(max_size=200))
def test_the_decoder_judges_malformed_messages(message: bytes) -> None:
    check_fields(message, UpsertDocumentsRequest.DESCRIPTOR)


@pytest.mark.parametrize("message", [b"\xff" * 4_000_000, b"\x0a" + b"\xff" * 4_000_000])
def test_a_number_without_end_ends_the_count(message: bytes) -> None:
    check_fields(message, UpsertDocumentsRequest.DESCRIPTOR)  # To read it would take minutes.


def test_a_deep_message_does_not_exhaust_the_stack() -> None:
    message = b""
    for _ in range(2000):  # A struct in the value of an entry of a struct, and so on.
        message = b"\x0a" + sized(b"\x12" + sized(b"\x2a" + sized(message)))
    check_fields(b"\x0a" + sized(b"\x0a" + sized(b"\x2a" + sized(message))), UpsertDocumentsRequest.DESCRIPTOR)
