"""What a call needs of its request's headers, and which requests are none of gRPC."""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass

import grpc

from server.transport.decoder import ENTRY_OVERHEAD_BYTES
from server.transport.metadata import Metadatum, read_metadata

MAX_HEADER_LIST_BYTES = 16 * 1024
"""Of names and values, with 32 bytes for each as RFC 9113, section 6.5.2, counts them, and for each joined value."""

_PSEUDO = {b":method", b":scheme", b":path", b":authority"}
_OF_CONNECTION = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
_NOT_METADATA = {b"te", b"content-type"}
_FIELD_NAME = re.compile(rb"[!#-'*+\-.0-9^-z|~]+")
"""A token (RFC 9110, section 5.6.2) in lower case."""
LONGEST_KEPT_NAME = 64
"""What is a longer name is found out anew each time: a client could have us keep a thousand of them."""
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_SECONDS_OF_UNIT = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


class _Kind(enum.Enum):
    """What a header field is, by its name."""

    PSEUDO = enum.auto()
    KNOWN = enum.auto()
    CUSTOM = enum.auto()
    FORBIDDEN = enum.auto()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is answered without being taken up.

    Attributes:
        code: The gRPC code.
        message: For a person.
        http_status: Other than 200 where the request is none of gRPC.
        metadata: Sent with it.
    """

    code: grpc.StatusCode
    message: str
    http_status: int = 200
    metadata: tuple[tuple[str, str | bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A request's headers.

    Attributes:
        path: `/package.Service/Method`.
        size_bytes: Of all its fields, as `MAX_HEADER_LIST_BYTES` counts.
        timeout_seconds: Until the deadline; `None` without one.
        encoding: How its compressed messages are compressed.
        metadata: What the handler sees.
        refusal: Why it is refused, or `None`.
        malformed: Why it is not even HTTP (RFC 9113, section 8.1.1); empty if it is.
    """

    path: str = ""
    size_bytes: int = 0
    timeout_seconds: float | None = None
    encoding: str = "identity"
    metadata: tuple[Metadatum, ...] = ()
    refusal: Refusal | None = None
    malformed: str = ""


class _Malformed(Exception):
    """The headers are no request of HTTP/2."""


def read_request(fields: list[tuple[bytes, bytes]]) -> Request:
    """Returns a request by its decoded header fields."""
    try:
        known, custom = _sort(fields)
    except _Malformed as error:
        return Request(malformed=str(error))
    path = known[b":path"].decode("latin-1")
    size = _size(fields, custom)
    refusal = _why_refused(known, size)
    if refusal is not None:
        return Request(path, size, refusal=refusal)
    timeout = known.get(b"grpc-timeout")
    try:
        return Request(
            path,
            size,
            timeout_seconds=None if timeout is None else read_timeout(timeout),
            encoding=known.get(b"grpc-encoding", b"identity").decode("latin-1"),
            metadata=read_metadata(custom),
        )
    except ValueError as error:
        return Request(path, size, refusal=Refusal(grpc.StatusCode.INTERNAL, f"malformed request headers: {error}"))


def _sort(fields: list[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], list[tuple[bytes, bytes]]]:
    """Returns the fields that HTTP and gRPC know, and the others.

    Raises:
        _Malformed: They break a rule of RFC 9113, section 8.2 or 8.3.
    """
    known: dict[bytes, bytes] = {}
    custom: list[tuple[bytes, bytes]] = []
    behind_pseudo = False
    for name, value in fields:
        kind = _kind(name) if len(name) <= LONGEST_KEPT_NAME else _kind_of(name)
        stripped = value.strip(b" \t")
        if b"\0" in value or b"\r" in value or b"\n" in value or (kind is _Kind.PSEUDO and stripped != value):
            raise _Malformed("a header field's value with forbidden characters")
        if kind is _Kind.PSEUDO:
            if behind_pseudo or name in known:
                raise _Malformed("a pseudo-header field that is repeated or late")
            known[name] = value
        else:
            behind_pseudo = True
            if kind is _Kind.CUSTOM:
                custom.append((name, stripped))
            elif kind is _Kind.KNOWN:
                known[name] = stripped
            else:
                raise _Malformed("a header field that HTTP/2 does not allow")
    if b":method" not in known or b":path" not in known or b":scheme" not in known:
        raise _Malformed("a pseudo-header field is missing")
    if known.get(b"te", b"trailers") != b"trailers":
        raise _Malformed("te other than trailers")
    return known, custom


def _kind_of(name: bytes) -> _Kind:
    if name in _PSEUDO:
        return _Kind.PSEUDO
    if not _FIELD_NAME.fullmatch(name) or name in _OF_CONNECTION:
        return _Kind.FORBIDDEN
    return _Kind.KNOWN if name in _NOT_METADATA or name.startswith(b"grpc-") else _Kind.CUSTOM


_kind = functools.lru_cache(maxsize=1024)(_kind_of)


def read_timeout(value: bytes) -> float:
    """Returns a `grpc-timeout` in seconds.

    Raises:
        ValueError: It is none.
    """
    match = _TIMEOUT.fullmatch(value)
    if match is None:
        raise ValueError("grpc-timeout is not at most eight digits and a unit")
    return int(match[1]) * _SECONDS_OF_UNIT[match[2]]


def _size(fields: list[tuple[bytes, bytes]], custom: list[tuple[bytes, bytes]]) -> int:
    """Returns how much the fields are; each value that a comma joins to a `-bin` one counts like a field."""
    size = sum([len(name) + len(value) + ENTRY_OVERHEAD_BYTES for name, value in fields])
    for name, value in custom:
        if name.endswith(b"-bin"):
            size += value.count(b",") * ENTRY_OVERHEAD_BYTES
    return size


def _why_refused(known: dict[bytes, bytes], size: int) -> Refusal | None:
    if known[b":method"] != b"POST":
        return Refusal(grpc.StatusCode.UNKNOWN, "gRPC wants POST", http_status=405)
    kind = known.get(b"content-type", b"")
    if not kind.startswith(b"application/grpc") or kind[16:17] not in (b"", b"+", b";"):
        return Refusal(grpc.StatusCode.UNKNOWN, "gRPC wants content-type application/grpc", http_status=415)
    if size > MAX_HEADER_LIST_BYTES:
        text = f"the headers have {size} bytes; at most {MAX_HEADER_LIST_BYTES} are allowed"
        return Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
    return None
