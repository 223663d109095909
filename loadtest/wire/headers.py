"""Header blocks of requests and responses (HPACK, RFC 7541).

Requests are the same bytes again and again, so they are written once, without compression. Responses must not use the
dynamic table (we allow it no size): a block means the same whenever it comes, and is decoded only the first time.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass

from hpack import Decoder
from hpack.exceptions import HPACKError

from loadtest.errors import UsageError
from loadtest.wire.frames import LARGEST_PAYLOAD_BYTES

KNOWN_BLOCKS = 1024
LARGEST_TIMEOUT = 99_999_999
_LITERAL, _NEVER_INDEXED = 0x00, 0x10
_NO_TABLE = b"\x20"
"""We use no dynamic table. A peer that allows less of one than 4 kB insists on being told (RFC 7541, section 4.2)."""
_SECRET = "authorization"  # noqa: S105


def request_headers(
    path: str, *, authority: str, scheme: str, timeout_seconds: float, metadata: Iterable[tuple[str, str]] = ()
) -> bytes:
    """Returns the header block of a gRPC request.

    Args:
        path: `/package.Service/Method`.
        authority: Name of the server.
        scheme: `http` or `https`.
        timeout_seconds: The call's deadline.
        metadata: Names in lower case, values in ASCII.

    Raises:
        UsageError: They do not fit in one frame.
    """
    headers = [
        (":method", "POST"),
        (":scheme", scheme),
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("grpc-timeout", grpc_timeout(timeout_seconds)),
        ("user-agent", "chaja-loadtest"),
        *metadata,
    ]
    block = _NO_TABLE + b"".join(_field(name, value) for name, value in headers)
    if len(block) > LARGEST_PAYLOAD_BYTES:
        raise UsageError(f"the headers have {len(block)} bytes; {LARGEST_PAYLOAD_BYTES} at most can be sent")
    return block


def grpc_timeout(seconds: float) -> str:
    """Returns a `grpc-timeout`: at most eight digits and a unit."""
    for unit, factor in (("u", 1e6), ("m", 1e3), ("S", 1.0)):
        if seconds * factor < LARGEST_TIMEOUT:
            return f"{max(1, round(seconds * factor))}{unit}"
    return f"{round(min(seconds / 3600, LARGEST_TIMEOUT))}H"


@dataclass(frozen=True)
class ResponseHeaders:
    """What a call needs of a response's headers or trailers.

    Attributes:
        http_status: `:status`; 0 in trailers.
        grpc_status: `grpc-status`; `None` if it is not there.
        message: `grpc-message`.
    """

    http_status: int
    grpc_status: int | None
    message: str


class HeaderReader:
    """Reads the header blocks of one connection."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._decoder.header_table_size = 0
        self._decoder.max_allowed_table_size = 0
        self._known: dict[bytes, ResponseHeaders] = {}

    def read(self, block: bytes) -> ResponseHeaders:
        """Returns a block's headers; raises hpack.HPACKError if it is none."""
        known = self._known.get(block)
        if known is None:
            if len(self._known) >= KNOWN_BLOCKS:
                self._known.clear()
            known = self._known[block] = self._decode(block)
        return known

    def _decode(self, block: bytes) -> ResponseHeaders:
        headers = {_text(name): _text(value) for name, value in self._decoder.decode(block, raw=True)}
        try:
            status = int(headers["grpc-status"]) if "grpc-status" in headers else None
            http_status = int(headers.get(":status", "0"))
        except ValueError:
            raise HPACKError("a status that is no number") from None
        return ResponseHeaders(http_status, status, urllib.parse.unquote(headers.get("grpc-message", "")))


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else bytes(value).decode("utf-8", "replace")


def _field(name: str, value: str) -> bytes:
    """A literal field with a literal name; proxies must never index a secret."""
    first = _NEVER_INDEXED if name == _SECRET else _LITERAL
    return bytes((first,)) + _string(name.encode("ascii")) + _string(value.encode("ascii"))


def _string(value: bytes) -> bytes:
    """A string without Huffman coding, after its length as an integer with a prefix of seven bits."""
    length = len(value)
    if length < 127:
        return bytes((length,)) + value
    length -= 127
    encoded = bytearray((127,))
    while length >= 128:
        encoded.append(length % 128 + 128)
        length //= 128
    encoded.append(length)
    return bytes(encoded) + value
