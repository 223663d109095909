"""The server: listens, holds the handlers, stops. A drop-in for what generated code does with a `grpc.aio.Server`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import grpc

from server.transport.connection import Connection
from server.transport.host import Gate, Host, TransportLimits
from server.transport.request import Refusal
from server.transport.tls import TlsGate

BACKLOG = 4096
STOP_POLL_SECONDS = 0.01
SHUTTING_DOWN = Refusal(grpc.StatusCode.UNAVAILABLE, "the server is shutting down")


class Server:
    """A gRPC server on the running event loop.

    Args:
        max_message_bytes: Of a request's message, after decompression.
        max_connection_age_seconds: After it (give or take a tenth) a connection takes no new calls.
        max_connection_age_grace_seconds: How long those on it may still take.
        max_concurrent_streams: Calls at once on one connection; clients queue those beyond.
        greeting_seconds: Until a new client has to have said that it speaks HTTP/2, its TLS handshake apart.
        keepalive_seconds: After so long a silence a client is asked whether it is there.
        keepalive_timeout_seconds: How long it may take to say so.
        gate: Refuses calls before anything is spent on them: an overloaded server has thousands to refuse.
    """

    def __init__(
        self,
        *,
        max_message_bytes: int,
        max_connection_age_seconds: float = float("inf"),
        max_connection_age_grace_seconds: float = float("inf"),
        max_concurrent_streams: int = 4_000,
        greeting_seconds: float = 20.0,
        keepalive_seconds: float = 7200.0,
        keepalive_timeout_seconds: float = 20.0,
        gate: Gate | None = None,
    ) -> None:
        self._host = Host(
            TransportLimits(
                max_message_bytes=max_message_bytes,
                max_concurrent_streams=max_concurrent_streams,
                max_connection_age_seconds=max_connection_age_seconds,
                max_connection_age_grace_seconds=max_connection_age_grace_seconds,
                greeting_seconds=greeting_seconds,
                keepalive_seconds=keepalive_seconds,
                keepalive_timeout_seconds=keepalive_timeout_seconds,
            ),
            gate,
        )
        self._listeners: list[asyncio.Server] = []
        self._handshakes: set[asyncio.Task[None]] = set()

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Adds handlers that are asked for every method which is not registered by its name."""
        self._host.add_generic(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Adds the methods of a service by their names."""
        self._host.register(service, handlers)

    async def listen(self, host: str, port: int, *, tls: Callable[[], ssl.SSLContext] | None = None) -> int:
        """Takes connections from now on; returns the port, which the system chooses for 0.

        Args:
            host: A name or address of this machine.
            port: The port.
            tls: Gives the context for each new connection; none means no TLS.

        Raises:
            OSError: The address is taken or not this machine's.
        """

        def connection() -> asyncio.Protocol:
            return Connection(self._host)

        def gate() -> asyncio.Protocol:
            assert tls is not None
            return TlsGate(tls, connection, self._handshakes, self._host.limits.greeting_seconds)

        loop = asyncio.get_running_loop()
        listener = await loop.create_server(gate if tls else connection, host, port, backlog=BACKLOG)
        self._listeners.append(listener)
        chosen: int = listener.sockets[0].getsockname()[1]
        return chosen

    async def stop(self, grace_seconds: float) -> None:
        """Takes no more connections and calls, gives those in flight a grace, then ends them as UNAVAILABLE."""
        self._host.stopping = True  # What is accepted by now may become a connection only later.
        for listener in self._listeners:
            listener.close()
        for handshake in list(self._handshakes):
            handshake.cancel()
        for connection in list(self._host.connections):
            connection.drain()
        await self._wait_until_idle(grace_seconds)
        for connection in list(self._host.connections):
            for call in list(connection.calls.values()):
                call.refuse(SHUTTING_DOWN)
            connection.close()
        await self._wait_until_idle(1.0)
        for connection in list(self._host.connections):
            connection.abort()
        for task in list(self._host.running):
            task.cancel()
        await asyncio.sleep(0)
        self._host.deadlines.close()

    async def _wait_until_idle(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (self._host.connections or self._host.running) and loop.time() < until:
            await asyncio.sleep(STOP_POLL_SECONDS)
