"""Calls through gRPC's core: the thread that reads a connection takes the time of an answer and calls back.

`grpc.aio` hands a call through two threads, a socket and an event loop, which costs more than the call itself and adds
to its latency. This module drives the same core without them. It is the only one that imports grpcio's compiled module,
which is private to grpcio and used here as in `grpc/_channel.py`.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]

from loadtest.clock import now_ns
from loadtest.codes import CODES, INTERNAL, OK

ENVIRONMENT = {"GRPC_EXPERIMENTS": "-event_engine_client"}
"""For processes that measure: the core reads a connection in our thread, not in another one; saves 5 µs a call."""

NO_FLAGS = 0
CLOSED = "the channel was closed"
CLOSE_SECONDS = 5.0
UNKNOWN = CODES.index("UNKNOWN")

Metadata = tuple[tuple[str, str | bytes], ...]


class Answer(NamedTuple):
    """The outcome of a call.

    Attributes:
        code: Number of the gRPC code.
        message: The status message of an error.
        messages: The serialized messages of the answer.
        done_ns: Time when the outcome was known.
    """

    code: int
    message: str
    messages: Sequence[bytes]
    done_ns: int

    def __str__(self) -> str:
        return f"{CODES[self.code]}: {self.message}"


OnAnswer = Callable[[Answer], None]
"""A function that takes the answer, in the thread that reads the connection."""


class Cancellable(Protocol):
    """A call that has been started."""

    def cancel(self) -> None:
        """Ends the call, if it has not ended."""


class Core:
    """A channel of gRPC's core, and the thread that reads it."""

    def __init__(
        self, uri: str, options: Sequence[tuple[str, int | str]], credentials: grpc.ChannelCredentials | None
    ) -> None:
        inner = None if credentials is None else credentials._credentials  # type: ignore[attr-defined]
        self._channel = cygrpc.Channel(uri.encode(), tuple(options), inner)
        self._calls: set[_Unary | _Stream] = set()
        self._closing = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def method(self, path: str, *, streams: bool) -> "CoreMethod":
        """Returns the method at a path; `streams` says whether requests or answers are streams."""
        return CoreMethod(self, path, streams=streams)

    def ready(self, *, wait_seconds: float) -> bool:
        """Returns whether there is a connection, after waiting up to the given time for a change."""
        state = self._channel.check_connectivity_state(True)
        if state != cygrpc.ConnectivityState.ready:
            self._channel.watch_connectivity_state(state, time.time() + wait_seconds)
            state = self._channel.check_connectivity_state(True)
        return bool(state == cygrpc.ConnectivityState.ready)

    def close(self) -> None:
        """Cancels all calls, which then have their answers, and ends the connection."""
        for call in list(self._calls):
            call.cancel()
        self._closing = True
        CoreMethod(self, "/", streams=False).start((b"",), (), timeout_seconds=0, on_answer=lambda _: None)  # Wakes.
        self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._channel.close(cygrpc.StatusCode.cancelled, CLOSED)

    def _read(self) -> None:
        next_event = self._channel.next_call_event
        while not self._closing or self._calls:
            event = next_event()
            event.tag(event, now_ns())


class CoreMethod:
    """A method of a server, on one channel."""

    def __init__(self, core: Core, path: str, *, streams: bool) -> None:
        self._core = core
        self._path = path.encode()
        self._handle = core._channel.get_registered_call_handle(self._path)
        self._streams = streams

    def start(
        self, messages: Sequence[bytes], metadata: Metadata, *, timeout_seconds: float, on_answer: OnAnswer
    ) -> Cancellable:
        """Starts a call with serialized messages: any number if the method streams, or else one."""
        core = self._core
        call = (_Stream if self._streams else _Unary)(core, messages, on_answer)
        core._calls.add(call)
        deadline = time.time() + timeout_seconds
        call.handle = core._channel.integrated_call(
            NO_FLAGS, self._path, None, deadline, metadata, None, call.operations(metadata), None, self._handle
        )
        return call


class _Unary:
    """A call of one message and one answer: all operations are one batch."""

    __slots__ = ("_core", "_messages", "_on_answer", "handle")

    def __init__(self, core: Core, messages: Sequence[bytes], on_answer: OnAnswer) -> None:
        self._core = core
        self._messages = messages
        self._on_answer = on_answer
        self.handle: Any = None

    def operations(self, metadata: Metadata) -> tuple[Any, ...]:
        """Returns the operations, with the function that takes the event of their end."""
        batch = (
            cygrpc.SendInitialMetadataOperation(metadata, NO_FLAGS),
            cygrpc.SendMessageOperation(self._messages[0], NO_FLAGS),
            cygrpc.SendCloseFromClientOperation(NO_FLAGS),
            cygrpc.ReceiveInitialMetadataOperation(NO_FLAGS),
            cygrpc.ReceiveMessageOperation(NO_FLAGS),
            cygrpc.ReceiveStatusOnClientOperation(NO_FLAGS),
        )
        return ((batch, self._end),)

    def cancel(self) -> None:
        if self.handle is not None:
            self.handle.cancel(cygrpc.StatusCode.cancelled, CLOSED)

    def _end(self, event: Any, at_ns: int) -> None:
        self._core._calls.discard(self)
        *_, received, status = event.batch_operations
        code, message = status.code(), received.message()
        if code != OK:
            answer = Answer(_known(code), status.details(), (), at_ns)
        elif message is None:
            answer = Answer(INTERNAL, "the answer has no message", (), at_ns)
        else:
            answer = Answer(OK, "", (message,), at_ns)
        self._on_answer(answer)


class _Stream:
    """A call of which a side, or both, is a stream: each operation is a separate batch."""

    def __init__(self, core: Core, messages: Iterable[bytes], on_answer: OnAnswer) -> None:
        self._core = core
        self._unsent = iter(messages)
        self._on_answer = on_answer
        self._received: list[bytes] = []
        self._status: Any = None
        self._due = 0
        self._handle: Any = None
        self._begun = threading.Event()

    @property
    def handle(self) -> Any:
        """The call in the core. Its first event may come before it is known here."""
        self._begun.wait()
        return self._handle

    @handle.setter
    def handle(self, handle: Any) -> None:
        self._handle = handle
        self._begun.set()

    def operations(self, metadata: Metadata) -> tuple[Any, ...]:
        """Returns the first operations, each with the function that takes the event of its end."""
        self._due = 4
        return (
            ((cygrpc.SendInitialMetadataOperation(metadata, NO_FLAGS),), self._sent),
            ((cygrpc.ReceiveInitialMetadataOperation(NO_FLAGS),), self._done),
            ((cygrpc.ReceiveMessageOperation(NO_FLAGS),), self._got),
            ((cygrpc.ReceiveStatusOnClientOperation(NO_FLAGS),), self._ended),
        )

    def cancel(self) -> None:
        self.handle.cancel(cygrpc.StatusCode.cancelled, CLOSED)

    def _operate(self, operation: Any, tag: Callable[[Any, int], None]) -> None:
        if self.handle.operate((operation,), tag):
            self._due += 1

    def _sent(self, event: Any, at_ns: int) -> None:
        if event.success and self._status is None:
            message = next(self._unsent, None)
            if message is None:
                self._operate(cygrpc.SendCloseFromClientOperation(NO_FLAGS), self._done)
            else:
                self._operate(cygrpc.SendMessageOperation(message, NO_FLAGS), self._sent)
        self._done(event, at_ns)

    def _got(self, event: Any, at_ns: int) -> None:
        message = event.batch_operations[0].message()
        if message is not None:
            self._received.append(message)
            self._operate(cygrpc.ReceiveMessageOperation(NO_FLAGS), self._got)
        self._done(event, at_ns)

    def _ended(self, event: Any, at_ns: int) -> None:
        self._status = event.batch_operations[0]
        self._done(event, at_ns)

    def _done(self, event: Any, at_ns: int) -> None:
        self._due -= 1
        if not self._due:
            self._core._calls.discard(self)
            status = self._status
            self._on_answer(Answer(_known(status.code()), status.details(), self._received, at_ns))


def _known(code: int) -> int:
    return code if 0 <= code < len(CODES) else UNKNOWN
