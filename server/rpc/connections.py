"""Bounds the calls in flight and the unread answers of one connection.

gRPC bounds the calls of a connection (`max_concurrent_streams`) and slows down the sender of a stream. It does not
bound a connection's unread answers, and it does not share its bound on all calls fairly between connections.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from server.errors import ConnectionOverloaded

MAX_UNSENT_BYTES = 64 * 1024 * 1024
"""Size of a connection's unread answers above which its calls are rejected."""

UNREAD = "this connection has too many unread answers: read them before you send more calls"

FAIR_ANSWER_BYTES = 64 * 1024
"""Maximum size of an answer that is sent over a Unix socket even above MAX_UNSENT_BYTES."""

MAX_CALLS = 4000
"""Calls in flight on all connections, above which a connection with more than FAIR_CALLS gets no new ones."""

FAIR_CALLS = 100

LARGE_CALLS = 4
"""Calls of a connection whose large messages are in work at a time. The others wait, so that the calls of other
connections do not wait for all of them."""


@dataclass(slots=True)
class Connection:
    """The calls of a connection, each until its client has read the whole answer, and the bytes of their answers."""

    shared: bool
    """Whether it stands for all clients of a Unix socket, which gRPC does not distinguish. Then one client must not
    use up the others' bounds: small answers are always sent, and only gRPC bounds the calls."""

    calls: int = 0
    unsent_bytes: int = 0
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_CALLS))
    """Bounds the calls with large messages."""


@dataclass(slots=True)
class ConnectionShare:
    """One call's share of its connection, and of the bounds of all connections."""

    connection: Connection
    connections: "Connections"
    answer_bytes: int = 0

    def check(self) -> None:
        """Raises ConnectionOverloaded if the connection has too many calls or unread answers."""
        if self.connection.shared:
            return
        if self.connection.unsent_bytes > MAX_UNSENT_BYTES:
            raise ConnectionOverloaded(UNREAD)
        if self.connections.calls > MAX_CALLS and self.connection.calls > FAIR_CALLS:
            raise ConnectionOverloaded("this connection has too many calls in flight: wait for some of their answers")

    def hold(self, answer: bytes) -> bytes:
        """Counts an answer until the client has read it, and returns it; raises ConnectionOverloaded."""
        size = len(answer)
        fair_bytes = FAIR_ANSWER_BYTES if self.connection.shared else 0
        # Since `check` admitted this call, answers of other calls may have filled the bound.
        if self.connection.unsent_bytes > MAX_UNSENT_BYTES and size > fair_bytes:
            del answer  # grpc.aio keeps the error, and with it this frame, until the next garbage collection.
            raise ConnectionOverloaded(UNREAD)
        self.answer_bytes += size
        self.connection.unsent_bytes += size
        return answer


class Connections:
    """All connections that have calls in flight. Used on the event loop only.

    Attributes:
        calls: Number of calls in flight.
        ended: Number of calls that gRPC has released so far.
    """

    def __init__(self) -> None:
        self._by_peer: dict[str, Connection] = {}
        self.calls = self.ended = 0

    def enter(self, context: Any) -> ConnectionShare:
        """Counts a call until gRPC releases it."""
        peer = context.peer()
        connection = self._by_peer.get(peer)
        if connection is None:
            connection = self._by_peer[peer] = Connection(shared=peer.startswith("unix:"))
        share = ConnectionShare(connection, self)
        connection.calls += 1
        self.calls += 1

        def leave(_: Any) -> None:
            connection.calls -= 1
            connection.unsent_bytes -= share.answer_bytes
            self.calls -= 1
            self.ended += 1
            if not connection.calls:
                self._by_peer.pop(peer, None)

        context.add_done_callback(leave)
        return share
