"""A call of which a side, or both, is a stream."""

import math
import threading
from collections.abc import Callable, Iterable
from typing import Any

from grpc._cython import cygrpc  # type: ignore[attr-defined, unused-ignore]

from loadtest.clock import now_ns
from loadtest.codes import CODES, OK
from loadtest.core.call import CLOSED, NO_FLAGS, Answer, Channel, Form, Metadata, OnAnswer, known_code

TIME_IS_UP = "the time of the stream is up"
END_SECONDS = 1.0
"""Patience with a server that still streams after the client has ended its side."""

CANCELLED = CODES.index("CANCELLED")


class Stream:
    """A call of which a side, or both, is a stream: each operation is a separate batch."""

    def __init__(self, channel: Channel, messages: Iterable[bytes], on_answer: OnAnswer, form: Form) -> None:
        self._channel = channel
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
            self._channel.later(self._form.seconds, self._end)
        return (
            ((cygrpc.SendInitialMetadataOperation(metadata, NO_FLAGS),), self._sent),
            ((cygrpc.ReceiveInitialMetadataOperation(NO_FLAGS),), self._done),
            ((cygrpc.ReceiveMessageOperation(NO_FLAGS),), self._got),
            ((cygrpc.ReceiveStatusOnClientOperation(NO_FLAGS),), self._ended),
        )

    def cancel(self, reason: str = CLOSED) -> None:
        """Ends the call for a reason, if it has not ended."""
        self.handle.cancel(cygrpc.StatusCode.cancelled, reason)

    def _end(self) -> None:
        """Ends the stream at its time."""
        with self._lock:
            self._time_is_up, in_send = True, self._in_send
        if not self._form.client_streaming:
            self._cancel_rest()
            return
        self._channel.later(END_SECONDS, self._cancel_rest)
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
                self._channel.later(wait_ns / 1e9, self._send)
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
        self._channel.calls.discard(self)
        code, message = known_code(self._status.code()), self._status.details()
        if code == CANCELLED and self._time_is_up:
            code, message = OK, ""
        self._on_answer(Answer(code, message, self._received, at_ns, self._times_ns, self._sent_messages))
