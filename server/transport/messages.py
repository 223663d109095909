"""Messages within DATA: a flag, a length and the bytes, compressed or not (PROTOCOL-HTTP2.md)."""

from __future__ import annotations

import zlib
from collections import deque

import grpc

from server.transport.request import Refusal

PREFIX_BYTES = 5
ENCODINGS = ("identity", "gzip")
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS


class MessageRefused(Exception):
    """What came is no message that we take."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(code, message)


def prefix(message: bytes) -> bytes:
    """Returns what stands before a message that is not compressed."""
    return b"\0" + len(message).to_bytes(4, "big")


class Inbox:
    """The messages that came on a stream and were not yet taken.

    Attributes:
        messages: The whole ones.
    """

    __slots__ = ("_encoding", "_max_message_bytes", "_needed_bytes", "_partial", "_whole_bytes", "messages")

    def __init__(self, encoding: str, max_message_bytes: int) -> None:
        self._encoding = encoding
        self._max_message_bytes = max_message_bytes
        self.messages: deque[bytes] = deque()
        self._whole_bytes = 0
        self._partial: bytearray | None = None
        self._needed_bytes = 0

    @property
    def missing_bytes(self) -> int:
        """How much of a message that has begun is still to come, as far as that is known."""
        return self._needed_bytes - len(self._partial) if self._partial is not None else 0

    def feed(self, data: bytes) -> None:
        """Takes the content of a DATA frame.

        Raises:
            MessageRefused: A message is too large, which its prefix says, or is compressed in an unknown way.
        """
        if self._partial is not None:
            # Grows in place and is looked at only when whole: a large message comes in hundreds of pieces.
            self._partial += data
            if len(self._partial) < self._needed_bytes:
                return
            data, self._partial = bytes(self._partial), None
        start, length = 0, len(data)
        while length - start >= PREFIX_BYTES:
            size = int.from_bytes(data[start + 1 : start + PREFIX_BYTES], "big")
            self._check(data[start], size)
            end = start + PREFIX_BYTES + size
            if end > length:
                self._needed_bytes = end - start
                break
            message = data[start + PREFIX_BYTES : end]
            if data[start]:
                message = self._decompressed(message)
            self.messages.append(message)
            self._whole_bytes += len(message)
            start = end
        else:
            self._needed_bytes = PREFIX_BYTES
        if start < length:
            self._partial = bytearray(data[start:])

    def take(self) -> bytes:
        """Returns the first message and forgets it."""
        message = self.messages.popleft()
        self._whole_bytes -= len(message)
        return message

    def clear(self) -> None:
        """Forgets all: nobody will take it."""
        self.messages.clear()
        self._partial, self._whole_bytes = None, 0

    @property
    def held_bytes(self) -> int:
        """How much is kept."""
        return self._whole_bytes + (len(self._partial) if self._partial is not None else 0)

    @property
    def cut_short(self) -> bool:
        """Whether a message has begun and is not whole."""
        return self._partial is not None

    def _check(self, flag: int, size: int) -> None:
        if size > self._max_message_bytes:
            raise self._too_large(f"{size}")
        if flag > 1:
            raise MessageRefused(grpc.StatusCode.INTERNAL, "a message that is neither compressed nor not")
        if flag and self._encoding not in ENCODINGS:
            text = f"the grpc-encoding is unknown; known are {', '.join(ENCODINGS)}"
            raise MessageRefused(grpc.StatusCode.UNIMPLEMENTED, text)
        if flag and self._encoding == "identity":
            raise MessageRefused(grpc.StatusCode.INTERNAL, "a compressed message, but no grpc-encoding that says how")

    def _decompressed(self, message: bytes) -> bytes:
        """Returns a message as it was before gzip (RFC 1952); never makes more of it than is allowed."""
        inflater = zlib.decompressobj(_GZIP_WINDOW_BITS)
        try:
            plain = inflater.decompress(message, self._max_message_bytes + 1)
        except zlib.error as error:
            raise MessageRefused(grpc.StatusCode.INTERNAL, f"a message that is not gzip: {error}") from None
        if len(plain) > self._max_message_bytes:
            raise self._too_large("more")
        if not inflater.eof or inflater.unused_data:
            raise MessageRefused(grpc.StatusCode.INTERNAL, "a message whose gzip is cut short, or goes on behind it")
        return plain

    def _too_large(self, size: str) -> MessageRefused:
        return MessageRefused(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"a message of {size} bytes; at most {self._max_message_bytes} are allowed",
        )
