from collections.abc import Iterator
from typing import TypeVar

import grpc
import pytest
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from chaja.v1 import SearchRequest
from server import errors
from server.rpc.errors import DOMAIN, ROW_OF, Refusal, refusal_of
from server.sharding.shard import StateGone

Detail = TypeVar("Detail", bound=Message)

MOST_METADATA_BYTES = 8192
"""Size of headers and trailers that gRPC clients accept."""


def leaves(base: type[errors.ChajaError]) -> Iterator[type[errors.ChajaError]]:
    """Yields the errors of the tree that no other one of it is based on."""
    children = [child for child in base.__subclasses__() if child.__module__ == errors.__name__]
    if not children:
        yield base
    for child in children:
        yield from leaves(child)


def status_of(refusal: Refusal) -> status_pb2.Status:
    """Returns the status in the details; checks that it agrees with the code and the message of the call."""
    content = dict(refusal.metadata)["grpc-status-details-bin"]
    assert isinstance(content, bytes)
    status = status_pb2.Status.FromString(content)
    assert (status.code, status.message) == (refusal.code.value[0], refusal.message)
    return status


def detail_of(refusal: Refusal, detail: Detail) -> Detail:
    (found,) = [each for each in status_of(refusal).details if each.Is(detail.DESCRIPTOR)]
    assert found.Unpack(detail)
    return detail


def info_of(refusal: Refusal) -> error_details_pb2.ErrorInfo:
    info = detail_of(refusal, error_details_pb2.ErrorInfo())
    assert info.domain == DOMAIN
    assert info.reason == refusal.reason
    return info


def size_of(refusal: Refusal) -> int:
    """Returns the size of the sent trailers: percent-encoded, base64, and 32 a field (RFC 9113, section 6.5.2)."""
    message = "".join(chr(b) if 0x20 <= b < 0x7F and b != 0x25 else "%00" for b in refusal.message.encode())
    size = len("grpc-message") + len(message) + 32 + 64
    for key, value in refusal.metadata:
        size += len(key) + 32 + (len(value) * 4 // 3 + 3 if isinstance(value, bytes) else len(value))
    return size


def test_every_error_of_a_request_is_in_the_table_of_errors() -> None:
    elsewhere = (errors.StartError, errors.SnapshotError, errors.BuildFailed, errors.ShadowRefused)
    of_requests = {error for error in leaves(errors.ChajaError) if not issubclass(error, elsewhere)}
    unfit = {error for error in of_requests if issubclass(error, errors.UnfitText | errors.UnfitRule)}
    of_both = {errors.StoreUnavailable, errors.ChangesLost}  # Of a start, and of a request.
    assert of_requests - unfit | of_both == set(ROW_OF)


def test_an_error_outside_of_the_tree_has_the_row_of_its_base() -> None:
    refusal = refusal_of(StateGone("shard 1 has no such state"), "/path")
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_READY")
    assert refusal.message == "shard 1 has no such state"


def test_reasons_are_unique_and_follow_aip_193() -> None:
    reasons = [row.reason for row in ROW_OF.values()]
    assert len(set(reasons)) == len(reasons)
    for reason in reasons:
        assert reason == reason.upper()
        assert reason.replace("_", "").isalpha()
        assert len(reason) <= 63


@pytest.mark.parametrize(
    ("error", "code", "facts"),
    [
        (errors.NotAuthenticated(token_sent=False), grpc.StatusCode.UNAUTHENTICATED, {}),
        (
            errors.NotAllowed("search", "admin"),
            grpc.StatusCode.PERMISSION_DENIED,
            {"role": "search", "needed_role": "admin"},
        ),
        (errors.NotReady("still loading"), grpc.StatusCode.UNAVAILABLE, {}),
        (
            errors.ResponseTooLarge(4096, "ask for less"),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            {"max_response_bytes": "4096"},
        ),
        (errors.HeadersTooLarge("too large"), grpc.StatusCode.RESOURCE_EXHAUSTED, {}),
        (errors.DeadlinePassed(), grpc.StatusCode.DEADLINE_EXCEEDED, {}),
        (failed := errors.EncodingFailed(), grpc.StatusCode.INTERNAL, {"incident": failed.incident}),
        (errors.ReloadFailed("no bundle"), grpc.StatusCode.FAILED_PRECONDITION, {}),
        (errors.NotFound("a b"), grpc.StatusCode.NOT_FOUND, {"document_id": "a b"}),
        (
            errors.Conflict("a", expected_version=0, version=7),
            grpc.StatusCode.ABORTED,
            {"document_id": "a", "expected_version": "0", "version": "7"},
        ),
        (errors.ImportTakenOver(), grpc.StatusCode.ABORTED, {}),
        (errors.OutOfRange("too new"), grpc.StatusCode.OUT_OF_RANGE, {}),
        (errors.ReadOnly("no store"), grpc.StatusCode.FAILED_PRECONDITION, {}),
        (errors.StoreFull("no room"), grpc.StatusCode.RESOURCE_EXHAUSTED, {}),
    ],
)
def test_an_error_has_code_reason_and_facts(
    error: errors.ChajaError, code: grpc.StatusCode, facts: dict[str, str]
) -> None:
    refusal = refusal_of(error, "/s/m")
    assert refusal.code is code
    assert refusal.message == str(error)
    assert dict(info_of(refusal).metadata) == facts
    assert len(status_of(refusal).details) == 1


def test_an_invalid_request_names_every_field() -> None:
    violations = [errors.Violation("query", "is empty"), errors.Violation("limit", "is -1")]
    refusal = refusal_of(errors.InvalidRequest(violations), "/s/m")
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert info_of(refusal).reason == "INVALID_REQUEST"
    bad = detail_of(refusal, error_details_pb2.BadRequest())
    assert [(each.field, each.description) for each in bad.field_violations] == [
        ("query", "is empty"),
        ("limit", "is -1"),
    ]


def test_an_undecodable_message_is_an_invalid_request() -> None:
    with pytest.raises(DecodeError) as raised:
        SearchRequest.FromString(b"\xff")
    refusal = refusal_of(raised.value, "/s/m")
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


@given(st.floats(0, 100), st.none() | st.floats(0, 10))
def test_overload_says_when_to_retry_to_people_programs_and_grpc(wait: float, remaining: float | None) -> None:
    error = errors.Overloaded(wait, remaining_seconds=remaining)
    for _ in range(2):  # The second time it comes from the cache.
        refusal = refusal_of(error, "/s/m")
        assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        retry = detail_of(refusal, error_details_pb2.RetryInfo())
        milliseconds = retry.retry_delay.ToMilliseconds()
        assert abs(milliseconds - 1000 * wait) <= 10
        assert milliseconds >= errors.MIN_RETRY_MILLISECONDS
        assert dict(refusal.metadata)["grpc-retry-pushback-ms"] == str(milliseconds)
        assert info_of(refusal).metadata["retry_milliseconds"] == str(milliseconds)
        assert f"{milliseconds} ms" in refusal.message


@pytest.mark.parametrize("error", [ValueError("secret"), KeyError("secret"), errors.SettingsError("secret")])
def test_an_internal_error_shows_the_caller_only_its_incident(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    refusal = refusal_of(error, "/s/m")
    assert refusal.code is grpc.StatusCode.INTERNAL
    incident = info_of(refusal).metadata["incident"]
    assert incident
    assert incident in refusal.message
    assert "secret" not in str(refusal)
    (record,) = caplog.records
    assert incident in record.getMessage()
    assert "/s/m" in record.getMessage()
    assert "secret" in caplog.text


@given(
    st.lists(st.builds(errors.Violation, st.just("requests[99999].query"), st.text("x", max_size=100)), max_size=300)
)
def test_the_details_of_an_invalid_request_fit_into_the_headers(violations: list[errors.Violation]) -> None:
    assert size_of(refusal_of(errors.InvalidRequest(violations), "/s/m")) < MOST_METADATA_BYTES


@given(st.text("가a%\n", min_size=1000, max_size=5000) | st.just("가" * 100_000))
def test_a_long_message_is_cut_to_fit_into_the_headers(message: str) -> None:
    refusal = refusal_of(errors.ReloadFailed(message), "/s/m")
    assert size_of(refusal) < MOST_METADATA_BYTES
    assert refusal.message.endswith("…")
    assert message.startswith(refusal.message[:-1])


def test_grpc_does_not_repeat_a_call_whose_answer_is_too_large() -> None:
    refusal = refusal_of(errors.ResponseTooLarge(4096, "ask for less"), "/s/m")
    assert dict(refusal.metadata)["grpc-retry-pushback-ms"] == "-1"


@pytest.mark.parametrize("character", ["x", "글", "😀", "\n", "\U000e0001"])
@pytest.mark.parametrize("count", [1, 10, 100])
@pytest.mark.parametrize("length", [10, 256, 5000])
def test_violations_of_long_fields_fit_into_the_headers(character: str, count: int, length: int) -> None:
    violations = [errors.Violation(f"filter.{character * length}", f"is {character * length}")] * count
    refusal = refusal_of(errors.InvalidRequest(violations), "/s/m")
    assert size_of(refusal) < MOST_METADATA_BYTES
    bad = detail_of(refusal, error_details_pb2.BadRequest())
    assert bad.field_violations[0].field.startswith("filter.")
    left_out = count - len(bad.field_violations)
    assert refusal.message.endswith(f"; and {left_out} more") is bool(left_out)


@pytest.mark.parametrize("id", ["글" * 256, "😀" * 256, "\n" * 256, "\U000e0001" * 256])
def test_an_error_that_names_a_document_fits_into_the_headers(id: str) -> None:
    assert size_of(refusal_of(errors.NotFound(id), "/s/m")) < MOST_METADATA_BYTES
    conflict = errors.Conflict(id, expected_version=2**62, version=2**62)
    assert size_of(refusal_of(conflict, "/s/m")) < MOST_METADATA_BYTES
