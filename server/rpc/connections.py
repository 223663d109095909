"""Bounds what one connection may hold: calls in flight, and bytes of answers that its client has not taken.

gRPC bounds calls by connection (`max_concurrent_streams`) and slows the sender of a stream down. It does not bound the
answers of many calls to a client that opens no window for them, nor the calls of many connections together.
"""

from dataclasses import dataclass
from typing import Any

from server.errors import ConnectionOverloaded

MAX_UNSENT_BYTES = 64 * 1024 * 1024
"""Answers of one connection that wait for its client. While there are as many, its calls are refused."""

UNREAD = "this connection has too many answers that its client does not read"

MAX_CALLS = 4000
"""Calls in flight on all connections, above which those with more than their share are refused new ones."""

FAIR_CALLS = 100
"""A connection's share of calls in flight while there are too many."""


@dataclass(slots=True)
class Connection:
    """What one connection holds: calls, each until its client has taken the whole answer, and bytes of answers."""

    calls: int = 0
    unsent_bytes: int = 0


@dataclass(slots=True)
class ConnectionShare:
    """What one call holds of its connection."""

    connection: Connection
    answer_bytes: int = 0

    def hold(self, answer_bytes: int) -> None:
        """Counts an answer in, until the client has taken it.

        Raises:
            ConnectionOverloaded: Calls that were admitted together have too many answers. This one is not sent.
        """
        if self.connection.unsent_bytes > MAX_UNSENT_BYTES:
            raise ConnectionOverloaded(UNREAD)
        self.answer_bytes += answer_bytes
        self.connection.unsent_bytes += answer_bytes


class Connections:
    """All connections that have calls in flight. Used on the event loop only."""

    def __init__(self) -> None:
        self._by_peer: dict[str, Connection] = {}
        self._calls = 0

    def enter(self, context: Any) -> ConnectionShare:
        """Counts a call in, until gRPC is done with it.

        Raises:
            ConnectionOverloaded: Its connection holds too much.
        """
        peer = context.peer()
        connection = self._by_peer.setdefault(peer, Connection())
        share = ConnectionShare(connection)
        connection.calls += 1
        self._calls += 1

        def leave(_: Any) -> None:
            connection.calls -= 1
            connection.unsent_bytes -= share.answer_bytes
            self._calls -= 1
            if not connection.calls:
                self._by_peer.pop(peer, None)

        context.add_done_callback(leave)
        if connection.unsent_bytes > MAX_UNSENT_BYTES:
            raise ConnectionOverloaded(UNREAD)
        if self._calls > MAX_CALLS and connection.calls > FAIR_CALLS:
            raise ConnectionOverloaded("this connection has too many calls in flight: wait for some of their answers")
        return share
