"""Calls through gRPC's core: the thread that reads a connection takes the time of an answer and calls back.

`grpc.aio` hands a call through two threads, a socket and an event loop, which costs more than the call itself and adds
to its latency. This module drives the same core without them. It is the only one that imports grpcio's compiled module,
which is private to grpcio and used here as in `grpc/_channel.py`.
"""

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]

from loadtest.clock import now_ns
from loadtest.codes import CODES, INTERNAL, OK

ENVIRONMENT = {"GRPC_EXPERIMENTS": "-event_engine_client"}
"""For processes that measure: the core reads a connection in our thread, not in another one."""

NO_FLAGS = 0
CLOSED = "the channel was closed"
TIME_IS_UP = "the time of the stream is up"
END_SECONDS = 1.0
"""Patience with a server that still streams after the client has ended its side."""

CLOSE_SECONDS = 5.0
CANCELLED, UNKNOWN = CODES.index("CANCELLED"), CODES.index("UNKNOWN")

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


class Core:
    """A channel of gRPC's core, and the thread that reads it. It belongs to the running event loop, for its timers."""

    def __init__(
        self, uri: str, options: Sequence[tuple[str, int | str]], credentials: grpc.ChannelCredentials | None
    ) -> None:
        inner = None if credentials is None else credentials._credentials  # type: ignore[attr-defined]
        self._channel = cygrpc.Channel(uri.encode(), tuple(options), inner)
        self._calls: set[_Unary | _Stream] = set()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Calls back on the event loop's thread."""
        with contextlib.suppress(RuntimeError):  # The loop has been closed.
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, callback)

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
        CoreMethod(self, "/", Form()).start((b"",), timeout_seconds=0, on_answer=lambda _: None)  # Wakes.
        self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._channel.close(cygrpc.StatusCode.cancelled, CLOSED)

    def _read(self) -> None:
        next_event = self._channel.next_call_event
        while not self._closing or self._calls:
            event = next_event()
            if event.tag is not None:  # With GRPC_ENABLE_FORK_SUPPORT the core also returns without an event.
                event.tag(event, now_ns())


class CoreMethod:
    """A method of a server, on one channel.

    Args:
        core: The channel.
        path: The path, such as `/chaja.v1.SearchService/Search`.
        form: Which sides are streams.
        metadata: Metadata of every call.
    """

    def __init__(self, core: Core, path: str, form: Form, metadata: Metadata = ()) -> None:
        self._core = core
        self._path = path.encode()
        self._form = form
        self._streams = form.client_streaming or form.server_streaming
        self._metadata = metadata

    def start(
        self, messages: Sequence[bytes], *, timeout_seconds: float, on_answer: OnAnswer, headers: Metadata = ()
    ) -> Cancellable:
        """Starts a call with serialized messages: any number if requests are a stream, or else one.

        `on_answer` is called in another thread, soon or even at once.
        """
        core, metadata = self._core, self._metadata + headers
        call = _Stream(core, messages, on_answer, self._form) if self._streams else _Unary(core, messages, on_answer)
        core._calls.add(call)
        deadline = time.time() + timeout_seconds
        try:
            call.handle = core._channel.integrated_call(
                NO_FLAGS, self._path, None, deadline, metadata, None, call.operations(metadata), None
            )
        except BaseException:  # The core refuses metadata that it cannot send.
            core._calls.discard(call)
            raise
        return call

    async def __call__(self, messages: Sequence[bytes], *, timeout_seconds: float, headers: Metadata = ()) -> Answer:
        """Makes a call with serialized messages; returns the answer."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()

        def settle(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        def on_answer(answer: Answer) -> None:
            with contextlib.suppress(RuntimeError):  # The loop has been closed.
                loop.call_soon_threadsafe(settle, answer)

        call = self.start(messages, timeout_seconds=timeout_seconds, on_answer=on_answer, headers=headers)
        try:
            return await answered
        except asyncio.CancelledError:
            call.cancel()
            raise


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
        operations = event.batch_operations
        message, status = operations[-2].message(), operations[-1]
        code = status.code()
        if code != OK:
            answer = Answer(_known(code), status.details(), (), at_ns)
        elif message is None:
            answer = Answer(INTERNAL, "the answer has no message", (), at_ns)
        else:
            answer = Answer(OK, "", (message,), at_ns)
        self._on_answer(answer)


class _Stream:
    """A call of which a side, or both, is a stream: each operation is a separate batch."""

    def __init__(self, core: Core, messages: Iterable[bytes], on_answer: OnAnswer, form: Form) -> None:
        self._core = core
        self._unsent = iter(messages)
        self._on_answer = on_answer
        self._form = form
        self._received: list[bytes] = []
        self._times_ns: list[int] = []
        self._status: Any = None
        self._lock = threading.Lock()  # Timers run in another thread than the rest.
        self._due = 0
        self._next_ns = 0
        self._sent_messages = 0
        self._in_send = True  # Of the metadata, then of a message.
        self._sending = True
        self._time_is_up = False
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
        self._next_ns = now_ns()
        if self._form.seconds < math.inf:
            self._core.later(self._form.seconds, self._end)
        return (
            ((cygrpc.SendInitialMetadataOperation(metadata, NO_FLAGS),), self._sent),
            ((cygrpc.ReceiveInitialMetadataOperation(NO_FLAGS),), self._done),
            ((cygrpc.ReceiveMessageOperation(NO_FLAGS),), self._got),
            ((cygrpc.ReceiveStatusOnClientOperation(NO_FLAGS),), self._ended),
        )

    def cancel(self, reason: str = CLOSED) -> None:
        self.handle.cancel(cygrpc.StatusCode.cancelled, reason)

    def _end(self) -> None:
        """Ends the stream at its time."""
        with self._lock:
            self._time_is_up, in_send = True, self._in_send
        if not self._form.client_streaming:
            self._cancel_rest()
            return
        self._core.later(END_SECONDS, self._cancel_rest)
        if not in_send:  # Otherwise the end of that closes the client's side.
            self._send()

    def _cancel_rest(self) -> None:
        if self._status is None:
            self.cancel(TIME_IS_UP)

    def _operate(self, operation: Any, tag: Callable[[Any, int], None]) -> None:
        with self._lock:
            self._due += 1
        if not self.handle.operate((operation,), tag):
            with self._lock:
                self._due -= 1

    def _sent(self, event: Any, at_ns: int) -> None:
        with self._lock:
            self._in_send = False
        if event.success:
            wait_ns = self._next_ns - at_ns
            if wait_ns > 0:
                self._core.later(wait_ns / 1e9, self._send)
            else:
                self._send()
        self._done(event, at_ns)

    def _send(self) -> None:
        """Sends the next message, or ends the client's side after the last one."""
        with self._lock:
            if self._in_send or not self._sending or self._status is not None:
                return
            message = None if self._time_is_up else next(self._unsent, None)
            if message is not None:
                self._in_send = True
                self._sent_messages += 1
                self._next_ns += int(self._form.interval_seconds * 1e9)
            elif self._stays_open and not self._time_is_up:
                return
            else:
                self._sending = False
        if message is not None:
            self._operate(cygrpc.SendMessageOperation(message, NO_FLAGS), self._sent)
        else:
            self._operate(cygrpc.SendCloseFromClientOperation(NO_FLAGS), self._done)

    @property
    def _stays_open(self) -> bool:
        """Whether the client keeps its side open until the stream's time is up: a subscription, for example."""
        return self._form.client_streaming and self._form.server_streaming and self._form.seconds < math.inf

    def _got(self, event: Any, at_ns: int) -> None:
        message = event.batch_operations[0].message()
        if message is not None:
            self._received.append(message)
            self._times_ns.append(at_ns)
            self._operate(cygrpc.ReceiveMessageOperation(NO_FLAGS), self._got)
        self._done(event, at_ns)

    def _ended(self, event: Any, at_ns: int) -> None:
        self._status = event.batch_operations[0]
        self._done(event, at_ns)

    def _done(self, event: Any, at_ns: int) -> None:
        with self._lock:
            self._due -= 1
            if self._due:
                return
        self._core._calls.discard(self)
        code, message = _known(self._status.code()), self._status.details()
        if code == CANCELLED and self._time_is_up:
            code, message = OK, ""
        self._on_answer(Answer(code, message, self._received, at_ns, self._times_ns, self._sent_messages))


def _known(code: int) -> int:
    return code if 0 <= code < len(CODES) else UNKNOWN
