"""Header blocks of responses (HPACK, RFC 7541): literals only, so that a block never depends on one before it."""

from __future__ import annotations

import functools

import grpc

from server.transport.metadata import MetadataTuple, percent_encoded, write_metadata

_NO_TABLE = b"\x20"
"""We use no dynamic table. A client that allows less of one than 4 kB insists on being told (section 4.2)."""

_STATUS_200 = b"\x88"
_STATUS_NAME = b"\x08"
"""A literal whose name is that of the static table's entry 8, `:status`."""

_CONTENT_TYPE = b"\x0f\x10\x10application/grpc"
"""A literal whose name is that of the static table's entry 31."""

NUMBER_OF = {code: int(code.value[0]) for code in grpc.StatusCode}
CODE_OF = {number: code for code, number in NUMBER_OF.items()}


def field(name: bytes, value: bytes) -> bytes:
    """Returns a literal field without indexing and with a literal name (section 6.2.2)."""
    return b"".join((b"\0", _length(len(name)), name, _length(len(value)), value))


def _length(length: int) -> bytes:
    """An integer with a prefix of seven bits (section 5.1); the eighth says that nothing is Huffman-coded."""
    if length < 127:
        return bytes((length,))
    length -= 127
    encoded = bytearray((127,))
    while length >= 128:
        encoded.append(length % 128 + 128)
        length //= 128
    encoded.append(length)
    return bytes(encoded)


_HEAD = _NO_TABLE + _STATUS_200 + _CONTENT_TYPE + field(b"grpc-accept-encoding", b"identity,gzip")


def head(metadata: MetadataTuple = ()) -> bytes:
    """Returns the block before the messages."""
    return _HEAD + _fields(metadata) if metadata else _HEAD


def trailers(code: grpc.StatusCode, message: str, metadata: MetadataTuple = ()) -> bytes:
    """Returns the block after the messages."""
    block = _NO_TABLE + _status(code, message)
    return block + _fields(metadata) if metadata else block


def trailers_only(code: grpc.StatusCode, message: str, metadata: MetadataTuple = ()) -> bytes:
    """Returns the only block of a response without messages."""
    block = _HEAD + _status(code, message)
    return block + _fields(metadata) if metadata else block


def http_error(status: int, code: grpc.StatusCode, message: str) -> bytes:
    """Returns the only block of the response to what is no gRPC."""
    number = str(status).encode("ascii")
    return _NO_TABLE + _STATUS_NAME + _length(len(number)) + number + _CONTENT_TYPE + _status(code, message)


@functools.lru_cache(maxsize=1024)
def _fields(metadata: MetadataTuple) -> bytes:
    return b"".join([field(name, value) for name, value in write_metadata(metadata)])


@functools.lru_cache(maxsize=1024)
def _status(code: grpc.StatusCode, message: str) -> bytes:
    block = field(b"grpc-status", str(NUMBER_OF[code]).encode("ascii"))
    return block + field(b"grpc-message", percent_encoded(message)) if message else block
