"""The HTTP port: it listens, accepts connections and bounds them.

It has a separate thread and event loop, and each connection gets one answer. Whatever its clients do, it keeps at
most MAX_CONNECTIONS connections for at most REQUEST_SECONDS each, and uses about CPU_SHARE (`pace.py`) of a core. When
all connections are taken, the oldest makes room for the newest, so that idle ones cannot lock out a probe.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from functools import partial

from starlette.types import ASGIApp
from uvicorn.config import Config

from server.errors import AddressError, first_line
from server.http.connection import Connection, uvicorn_config
from server.http.pace import PacedSelector
from server.security.https import HttpsCertificate
from server.setting_types import Address

MAX_CONNECTIONS = 32

REQUEST_SECONDS = 10.0
"""Time for a connection: its TLS handshake, its request, and reading the answer."""

RETRY_SECONDS = 0.1
"""Pause after a failed accept: the process has no file descriptor left, or the client has left."""

BACKLOG = 128

RECEIVE_BUFFER_BYTES = 16 * 1024
"""Bytes that the system keeps of each connection until they are read. Without a bound, it keeps megabytes."""


@contextlib.contextmanager
def http_port(
    address: Address, app: ASGIApp, *, headers: Mapping[str, str], certificate: HttpsCertificate | None = None
) -> Iterator[Address]:
    """Serves `app` in a separate thread; yields the address with the port that the system chose.

    Every answer of `app` gets the `headers`. Raises AddressError.
    """
    with _listen(address) as listener:
        ended = asyncio.Event()
        loop = asyncio.SelectorEventLoop(PacedSelector())
        port = Port(uvicorn_config(app, headers), certificate)
        thread = threading.Thread(target=_run, args=(loop, port, listener, ended), name="http")
        thread.start()
        try:
            yield Address(address.host, listener.getsockname()[1])
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()


class Port:
    """Accepts connections. Used on the event loop of its thread only."""

    def __init__(self, config: Config, certificate: HttpsCertificate | None) -> None:
        self._config = config
        self._certificate = certificate
        self._connections: dict[asyncio.Task[None], None] = {}  # The oldest first.

    async def serve(self, listener: socket.socket, ended: asyncio.Event) -> None:
        """Serves until `ended` is set."""
        self._listen_on(listener)
        await ended.wait()
        asyncio.get_running_loop().remove_reader(listener)
        for task in self._connections:
            task.cancel()

    def _listen_on(self, listener: socket.socket) -> None:
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Accepts one connection, so that open ones continue even if others wait."""
        loop = asyncio.get_running_loop()
        try:
            client, _ = listener.accept()
        except OSError:
            loop.remove_reader(listener)
            loop.call_later(RETRY_SECONDS, self._listen_on, listener)
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            oldest = next(iter(self._connections))
            del self._connections[oldest]
            oldest.cancel()
        task = loop.create_task(self._serve_client(client))
        self._connections[task] = None
        task.add_done_callback(partial(self._close, client))

    def _close(self, client: socket.socket, task: asyncio.Task[None]) -> None:
        self._connections.pop(task, None)
        client.close()

    async def _serve_client(self, client: socket.socket) -> None:
        connection = Connection(self._config)
        context = self._certificate.context() if self._certificate else None
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                loop = asyncio.get_running_loop()
                await loop.connect_accepted_socket(lambda: connection, client, ssl=context)
                await connection.closed.wait()
        except OSError:  # The client has left, does not speak TLS, or is too slow (TimeoutError).
            pass
        finally:
            connection.abort()


def _listen(address: Address) -> socket.socket:
    """Returns a socket that listens; raises AddressError."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            listener.bind(target)
            listener.listen(BACKLOG)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = (
            "the host is not a valid DNS name"
            if isinstance(error, UnicodeError)
            else error.strerror or first_line(error)
        )
        raise AddressError(f"cannot serve metrics on {address}: {reason}; choose another with --metrics") from None
    return listener


def _run(loop: asyncio.AbstractEventLoop, port: Port, listener: socket.socket, ended: asyncio.Event) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(port.serve(listener, ended))
