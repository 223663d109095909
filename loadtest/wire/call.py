"""One call: what it sends, what came back, and whom to tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from loadtest import codes
from loadtest.wire import status

if TYPE_CHECKING:
    from loadtest.wire.connection import Connection

PREFIX_BYTES = 5


class WireCall:
    """A call on its way.

    Attributes:
        headers: The request's header block.
        body: The request's messages, each behind its length.
        on_end: Is told once: the gRPC code, and when the last byte came (monotonic clock, ns).
        answers: The messages of the answer so far.
        message: The server's words on an error.
        ended: Whether `on_end` has been told.
        stream: Its stream; 0 until it has one.
        taken_bytes: What came since its window was last opened.
        connection: Its connection; `None` until it has one.
        unsent: What flow control holds back.
        window: How much of it the server would take.
    """

    __slots__ = (
        "_needed",
        "_partial",
        "answers",
        "body",
        "connection",
        "ended",
        "expires_ns",
        "headers",
        "http_status",
        "message",
        "on_end",
        "stream",
        "taken_bytes",
        "unsent",
        "window",
    )  # fmt: skip

    def __init__(
        self, headers: bytes, messages: Sequence[bytes], on_end: Callable[[WireCall, int, int], None], expires_ns: int
    ) -> None:
        self.headers = headers
        self.body = b"".join([b"\0" + len(message).to_bytes(4, "big") + message for message in messages])
        self.on_end = on_end
        self.expires_ns = expires_ns
        self.answers: list[bytes] = []
        self.message = ""
        self.http_status = 0
        self.ended = False
        self.stream = 0
        self.taken_bytes = 0
        self.connection: Connection | None = None
        self.unsent: bytes | memoryview = b""
        self.window = 0
        self._partial: bytearray | None = None
        self._needed = 0

    def end(self, code: int, at_ns: int, message: str = "") -> None:
        """Tells whoever waits; only the first end counts."""
        if not self.ended:
            self.ended = True
            self.message = message
            self.on_end(self, code, at_ns)
            # It may be kept until its deadline; its messages need not be.
            self.answers, self.body, self.unsent, self._partial = [], b"", b"", None

    def take(self, data: bytes) -> bool:
        """Takes bytes of the answer; returns whether they may be what gRPC sends."""
        if self._partial:
            # Grows in place and is looked at only when whole: a large message comes in thousands of pieces.
            self._partial += data
            if len(self._partial) < self._needed:
                return True
            data, self._partial = bytes(self._partial), None
        start, length = 0, len(data)
        while length - start >= PREFIX_BYTES:
            end = start + PREFIX_BYTES + int.from_bytes(data[start + 1 : start + 5], "big")
            if data[start]:  # Compressed, which we have not said we can read.
                return False
            if end > length:
                self._needed = end - start
                break
            self.answers.append(data[start + PREFIX_BYTES : end])
            start = end
        else:
            self._needed = PREFIX_BYTES
        if start < length:
            self._partial = bytearray(data[start:])
        return True

    def code(self, grpc_status: int) -> int:
        """Returns the code that an answer with this `grpc-status` ends with."""
        code = status.of_grpc(grpc_status)
        return codes.INTERNAL if code == codes.OK and self._partial else code

    def code_without_status(self) -> tuple[int, str]:
        """Returns code and message of an answer that ended without a `grpc-status`."""
        if self.http_status in (0, 200):
            return codes.UNKNOWN, "the answer has no grpc-status"
        return status.of_http(self.http_status), f"HTTP status {self.http_status}"

    def code_of_nonsense(self) -> tuple[int, str]:
        """Returns code and message of an answer whose bytes are no messages: a proxy's error page has text."""
        if self.http_status in (0, 200):
            return codes.INTERNAL, "the answer is compressed, or not gRPC"
        return self.code_without_status()
