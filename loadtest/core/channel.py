"""A channel of gRPC's core, and the methods that can be called on it."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined, unused-ignore]

from loadtest.clock import now_ns
from loadtest.core.call import CLOSED, NO_FLAGS, Answer, Cancellable, Form, Metadata, OnAnswer
from loadtest.core.stream import Stream
from loadtest.core.unary import Unary

ENVIRONMENT = {"GRPC_EXPERIMENTS": "-event_engine_client"}
"""For processes that measure: the core reads a connection in our thread, not in another one."""

CLOSE_SECONDS = 5.0


class Core:
    """A channel of gRPC's core, and the thread that reads it. It belongs to the running event loop, for its timers."""

    def __init__(
        self, uri: str, options: Sequence[tuple[str, int | str]], credentials: grpc.ChannelCredentials | None
    ) -> None:
        inner = None if credentials is None else credentials._credentials  # type: ignore[attr-defined]
        self._channel = cygrpc.Channel(uri.encode(), tuple(options), inner)
        self.calls: set[Unary | Stream] = set()
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
        for call in list(self.calls):
            call.cancel()
        self._closing = True
        CoreMethod(self, "/", Form()).start((b"",), timeout_seconds=0, on_answer=lambda _: None)  # Wakes.
        self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._channel.close(cygrpc.StatusCode.cancelled, CLOSED)

    def _read(self) -> None:
        next_event = self._channel.next_call_event
        while not self._closing or self.calls:
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
        call = Stream(core, messages, on_answer, self._form) if self._streams else Unary(core, messages, on_answer)
        core.calls.add(call)
        deadline = time.time() + timeout_seconds
        try:
            call.handle = core._channel.integrated_call(
                NO_FLAGS, self._path, None, deadline, metadata, None, call.operations(metadata), None
            )
        except BaseException:  # The core refuses metadata that it cannot send.
            core.calls.discard(call)
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
