"""A call: the form of its method, its answer, and what a call in progress offers."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from loadtest.codes import CODES

NO_FLAGS = 0
CLOSED = "the channel was closed"
UNKNOWN = CODES.index("UNKNOWN")

Metadata = tuple[tuple[str, str | bytes], ...]


class Answer(NamedTuple):
    """The outcome of a call.

    Attributes:
        code: Number of the gRPC code.
        message: The status message of an error.
        messages: The serialized messages of the answer.
        done_ns: Time when the outcome was known.
        times_ns: Times when the messages of a stream came.
        sent_messages: Messages that were sent; fewer than given if a stream ended before.
    """

    code: int
    message: str
    messages: Sequence[bytes]
    done_ns: int
    times_ns: Sequence[int] = ()
    sent_messages: int = 1

    def __str__(self) -> str:
        return f"{CODES[self.code]}: {self.message}"


class Form(NamedTuple):
    """Which sides of a method are streams, and how its streams are driven.

    Attributes:
        client_streaming, server_streaming: Whether requests and answers are streams.
        interval_seconds: Time between the starts of sending two messages.
        seconds: Time after which the client ends the stream, which is no error: it sends no more messages, and cancels
            what the server still streams. Infinite to wait for the server.
    """

    client_streaming: bool = False
    server_streaming: bool = False
    interval_seconds: float = 0.0
    seconds: float = math.inf


OnAnswer = Callable[[Answer], None]
"""A function that takes the answer, in the thread that reads the connection."""


class Cancellable(Protocol):
    """A call that has been started."""

    def cancel(self) -> None:
        """Ends the call, if it has not ended."""


class Channel(Protocol):
    """The channel of a call in progress.

    Attributes:
        calls: The calls in progress. Each removes itself when it ends.
    """

    calls: set[Any]

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Calls back on the event loop's thread."""


def known_code(code: int) -> int:
    """Returns the number of a gRPC code; that of UNKNOWN for other numbers."""
    return code if 0 <= code < len(CODES) else UNKNOWN
