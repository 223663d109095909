"""A connection that is made anew when it is lost, and the deadlines of the calls on it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from loadtest import codes
from loadtest.clock import now_ns
from loadtest.codes import CODES
from loadtest.errors import AttackError
from loadtest.wire.call import WireCall
from loadtest.wire.connection import Connection
from loadtest.wire.headers import request_headers

if TYPE_CHECKING:
    from loadtest.target import Target

CONNECT_SECONDS = 5.0
CLOSE_SECONDS = 1.0
CLOSED = "the channel was closed"
SHORTEST_WAIT_SECONDS = 0.01
"""Between two looks at the deadlines: bounds both their work and how late a deadline is noticed."""

FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 1.0
"""A server that comes back is found again within a second."""

TIDY_CALLS = 1024
"""How many calls are kept for their deadlines before those that have ended are let go."""


@dataclass(frozen=True)
class Answer:
    """What a call came to.

    Attributes:
        code: The gRPC code, by its name.
        message: The server's words on an error.
        messages: The messages of the answer.
    """

    code: str
    message: str
    messages: list[bytes]


class Channel:
    """One connection to a server. Open it with `async with`; it does not wait for the server, `connected` does."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._ssl = target.ssl_context()
        self._connection: Connection | None = None
        self._connections: list[Connection] = []
        self._closed = False
        self._connecting: asyncio.Task[None] | None = None
        self._queued: deque[WireCall] = deque()
        self._failing = False
        self._reason = ""
        self._first = asyncio.Event()
        self._deadlines: deque[WireCall] = deque()
        self._tidy_at = TIDY_CALLS
        self._deadline_timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._connect()
        return self

    async def __aexit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._connecting
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        self._connection, self._failing, self._reason = None, True, CLOSED
        self._fail_queued()
        open_ones = [connection for connection in self._connections if not connection.lost.done()]
        for connection in open_ones:
            connection.close(CLOSED)
        if open_ones:  # Over TLS it takes some turns of the loop until they are.
            await asyncio.wait([connection.lost for connection in open_ones], timeout=CLOSE_SECONDS)

    async def connected(self) -> None:
        """Waits for the first connection.

        Raises:
            AttackError: There is none in time; the message has the reason.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._first.wait()
        except TimeoutError:
            within = f"no connection within {CONNECT_SECONDS:g} seconds"
            reason = f"{within} ({self._reason})" if self._reason else within
            raise AttackError(f"{self._target.address} does not answer: {reason}") from None

    def headers(self, path: str, *, timeout_seconds: float, metadata: Iterable[tuple[str, str]] | None = None) -> bytes:
        """Returns the header block of calls of a method, to be used for all of them.

        Raises:
            UsageError: The metadata are too large.
        """
        unix_path, host, _ = self._target.endpoint()
        authority = self._target.authority or (host if unix_path else self._target.address.removeprefix("dns:///"))
        return request_headers(
            path,
            authority=authority if authority.isascii() else authority.encode("idna").decode("ascii"),
            scheme="https" if self._target.uses_tls else "http",
            timeout_seconds=timeout_seconds,
            metadata=self._target.metadata() if metadata is None else metadata,
        )

    def start(
        self,
        headers: bytes,
        messages: Sequence[bytes],
        on_end: Callable[[WireCall, int, int], None],
        *,
        timeout_seconds: float,
    ) -> WireCall:
        """Starts a call.

        Args:
            headers: From `headers`.
            messages: The serialized request messages.
            on_end: Is told the call, its gRPC code and when its last byte came; not before this method returns.
            timeout_seconds: The deadline; the same for every call of a channel.
        """
        call = WireCall(headers, messages, on_end, now_ns() + int(timeout_seconds * 1e9))
        self._deadlines.append(call)
        if len(self._deadlines) > self._tidy_at:
            # Most have ended long ago, behind one that has not.
            self._deadlines = deque(each for each in self._deadlines if not each.ended)
            self._tidy_at = max(TIDY_CALLS, 2 * len(self._deadlines))
        if self._deadline_timer is None:
            wait = max(SHORTEST_WAIT_SECONDS, timeout_seconds)
            self._deadline_timer = asyncio.get_running_loop().call_later(wait, self._watch_deadlines)
        connection = self._connection
        if connection is not None and connection.usable:
            connection.start(call)
        elif self._failing:
            reason = f"no connection: {self._reason}"
            asyncio.get_running_loop().call_soon(lambda: call.end(codes.UNAVAILABLE, now_ns(), reason))
        else:
            self._queued.append(call)
        if connection is None or not connection.usable:
            self._connect()
        return call

    async def call(self, path: str, messages: Sequence[bytes], *, timeout_seconds: float) -> Answer:
        """Makes one call and waits for all of its answer."""
        ended: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def on_end(call: WireCall, code: int, _: int) -> None:
            message = call.message
            if not ended.done():
                ended.set_result(Answer(CODES[code], message, call.answers))

        self.start(
            self.headers(path, timeout_seconds=timeout_seconds), messages, on_end, timeout_seconds=timeout_seconds
        )
        return await ended

    def _connect(self) -> None:
        if not self._closed and (self._connecting is None or self._connecting.done()):
            self._connecting = asyncio.get_running_loop().create_task(self._keep_connecting())

    async def _keep_connecting(self) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    connection = await self._ready_connection()
            except (OSError, ValueError) as error:  # A name with an empty part is a ValueError.
                self._reason = " ".join(str(error).split()) or "no answer"
                self._failing = True
                self._fail_queued()
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, LONGEST_BACKOFF_SECONDS)
                continue
            self._connection, self._failing = connection, False
            self._first.set()
            while self._queued:
                call = self._queued.popleft()
                if not call.ended:
                    connection.start(call)
            return

    async def _ready_connection(self) -> Connection:
        connection = await self._open()
        self._connections = [known for known in self._connections if not known.lost.done()]
        self._connections.append(connection)
        try:
            await connection.ready
        except BaseException:
            connection.close()
            raise
        if not connection.usable:  # It said so together with its settings.
            raise ConnectionError("the server is going away")
        return connection

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        path, host, port = self._target.endpoint()
        name = (self._target.authority or host) if self._ssl else None
        if path:
            _, connection = await loop.create_unix_connection(Connection, path, ssl=self._ssl, server_hostname=name)
            return connection
        transport, connection = await loop.create_connection(
            Connection, host, port, ssl=self._ssl, server_hostname=name
        )
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            connection.close()
            raise ConnectionError("the server does not offer HTTP/2 over TLS")
        return connection

    def _fail_queued(self) -> None:
        while self._queued:
            self._queued.popleft().end(codes.UNAVAILABLE, now_ns(), f"no connection: {self._reason}")

    def _watch_deadlines(self) -> None:
        """Ends what is over its deadline. All calls have the same, so they expire in the order of their start."""
        now = now_ns()
        while self._deadlines and (self._deadlines[0].ended or self._deadlines[0].expires_ns <= now):
            call = self._deadlines.popleft()
            if not call.ended:
                # Whoever is told may start the next call: the timer is still set, so that leads not to here again.
                call.end(codes.DEADLINE_EXCEEDED, now_ns(), "deadline exceeded")
                if call.connection is not None:
                    call.connection.cancel(call)
        self._deadline_timer = None
        if self._deadlines:
            wait = max(SHORTEST_WAIT_SECONDS, (self._deadlines[0].expires_ns - now) / 1e9)
            self._deadline_timer = asyncio.get_running_loop().call_later(wait, self._watch_deadlines)
