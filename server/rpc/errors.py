"""Maps our errors to gRPC codes and error details (AIP-193).

Each error carries `google.rpc.ErrorInfo`. An invalid request also carries `google.rpc.BadRequest`. An overload error
also carries `google.rpc.RetryInfo`, and the same time as `grpc-retry-pushback-ms`, which gRPC's retries obey (gRFC A6).
Any other exception is an internal error: the server logs it, and the caller gets only its id in the log.
"""

import functools
import logging
from collections.abc import Mapping
from typing import NamedTuple

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from server.errors import (
    ChajaError,
    ChangesLost,
    Conflict,
    ConnectionOverloaded,
    DeadlinePassed,
    EncodingFailed,
    HeadersTooLarge,
    ImportTakenOver,
    InvalidRequest,
    LearningFailed,
    LearningRefused,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotReady,
    OutOfRange,
    Overloaded,
    ReadOnly,
    ReloadFailed,
    ResponseTooLarge,
    SequenceNotSeen,
    ShardUnavailable,
    StoreFull,
    StoreUnavailable,
    UnknownMethod,
)

log = logging.getLogger(__name__)

DOMAIN = "chaja"

MOST_CHARACTERS = 500
"""Maximum characters of a message. It is sent twice in the trailers, as text and in the details; gRPC clients may
reject trailers above 8 KiB."""


NO_RETRY = ("grpc-retry-pushback-ms", "-1")
"""Keeps gRPC clients from retrying (gRFC A6), also those whose policy retries RESOURCE_EXHAUSTED."""


class Row(NamedTuple):
    """The gRPC code of an error, and the reason in its ErrorInfo."""

    code: grpc.StatusCode
    reason: str


ROW_OF: dict[type[ChajaError], Row] = {
    InvalidRequest: Row(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
    UnknownMethod: Row(grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD"),
    NotAuthenticated: Row(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING_OR_UNKNOWN"),
    NotAllowed: Row(grpc.StatusCode.PERMISSION_DENIED, "ROLE_INSUFFICIENT"),
    NotReady: Row(grpc.StatusCode.UNAVAILABLE, "NOT_READY"),
    Overloaded: Row(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
    ConnectionOverloaded: Row(grpc.StatusCode.RESOURCE_EXHAUSTED, "CONNECTION_OVERLOADED"),
    ResponseTooLarge: Row(grpc.StatusCode.RESOURCE_EXHAUSTED, "RESPONSE_TOO_LARGE"),
    HeadersTooLarge: Row(grpc.StatusCode.RESOURCE_EXHAUSTED, "HEADERS_TOO_LARGE"),
    DeadlinePassed: Row(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_PASSED"),
    LearningRefused: Row(grpc.StatusCode.FAILED_PRECONDITION, "LEARNING_REFUSED"),
    LearningFailed: Row(grpc.StatusCode.INTERNAL, "LEARNING_FAILED"),
    EncodingFailed: Row(grpc.StatusCode.INTERNAL, "INTERNAL_FAULT"),
    ReloadFailed: Row(grpc.StatusCode.FAILED_PRECONDITION, "RELOAD_FAILED"),
    NotFound: Row(grpc.StatusCode.NOT_FOUND, "DOCUMENT_NOT_FOUND"),
    Conflict: Row(grpc.StatusCode.ABORTED, "CONFLICT"),
    ImportTakenOver: Row(grpc.StatusCode.ABORTED, "IMPORT_TAKEN_OVER"),
    OutOfRange: Row(grpc.StatusCode.OUT_OF_RANGE, "CHANGES_OUT_OF_RANGE"),
    ShardUnavailable: Row(grpc.StatusCode.UNAVAILABLE, "SHARD_UNAVAILABLE"),
    SequenceNotSeen: Row(grpc.StatusCode.UNAVAILABLE, "SEQUENCE_NOT_SEEN"),
    ReadOnly: Row(grpc.StatusCode.FAILED_PRECONDITION, "READ_ONLY"),
    StoreFull: Row(grpc.StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL"),
    ChangesLost: Row(grpc.StatusCode.UNAVAILABLE, "STORE_LOST_CHANGES"),
    StoreUnavailable: Row(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"),
}

REASONS = [row.reason for row in ROW_OF.values()]


class Refusal(NamedTuple):
    """An error as the caller gets it."""

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: tuple[tuple[str, str | bytes], ...]


def refusal_of(error: Exception, path: str) -> Refusal:
    """Returns the error that the caller of a method gets for an exception; logs the exception if it is internal."""
    if isinstance(error, Overloaded):
        return _overload(error.retry_milliseconds, str(error))
    if isinstance(error, DecodeError):
        return _refusal(ROW_OF[InvalidRequest], "the request is not a message of this method's type", {})
    if isinstance(error, InvalidRequest):
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=violation.field, description=violation.description)
            for violation in error.violations
        ]
        return _refusal(
            ROW_OF[InvalidRequest], str(error), {}, error_details_pb2.BadRequest(field_violations=violations)
        )
    if isinstance(error, ChajaError) and (row := _row_of(type(error))):
        message = str(error)
        if len(message) > MOST_CHARACTERS:
            message = f"{message[: MOST_CHARACTERS - 1]}…"
        refusal = _refusal(row, message, error.facts)
        if isinstance(error, ResponseTooLarge):
            return refusal._replace(metadata=(*refusal.metadata, NO_RETRY))
        return refusal
    failed = EncodingFailed()
    log.error("incident %s in %s", failed.incident, path, exc_info=error)
    return _refusal(ROW_OF[EncodingFailed], str(failed), failed.facts)


def _row_of(kind: type[ChajaError]) -> Row | None:
    """Returns the row of an error's type, or of its nearest base that has one."""
    bases = (each for each in kind.__mro__ if issubclass(each, ChajaError))
    return next((ROW_OF[each] for each in bases if each in ROW_OF), None)


@functools.lru_cache(maxsize=1024)
def _overload(retry_milliseconds: int, message: str) -> Refusal:
    """Returns an overload error. It is cached, because an overloaded server rejects many calls."""
    retry = Duration()
    retry.FromMilliseconds(retry_milliseconds)
    facts = {"retry_milliseconds": str(retry_milliseconds)}
    refusal = _refusal(ROW_OF[Overloaded], message, facts, error_details_pb2.RetryInfo(retry_delay=retry))
    pushback = ("grpc-retry-pushback-ms", str(retry_milliseconds))
    return refusal._replace(metadata=(*refusal.metadata, pushback))


def _refusal(row: Row, message: str, facts: Mapping[str, str], *details: object) -> Refusal:
    status = status_pb2.Status(code=row.code.value[0], message=message)
    for each in (*details, error_details_pb2.ErrorInfo(reason=row.reason, domain=DOMAIN, metadata=facts)):
        status.details.add().Pack(each)
    return Refusal(row.code, row.reason, message, (("grpc-status-details-bin", status.SerializeToString()),))
