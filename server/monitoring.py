"""The HTTP port for operators: `/metrics`, `/healthz` (liveness) and `/readyz` (readiness).

It has a separate thread and event loop, and each connection gets one answer. Whatever its clients do, it keeps at
most MAX_CONNECTIONS connections for at most REQUEST_SECONDS each, and uses about CPU_SHARE of a core. When all
connections are taken, the oldest makes room for the newest, so that idle ones cannot lock out a probe.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from server.errors import AddressError, first_line
from server.setting_types import Address

METRICS_PATH = "/metrics"

MAX_CONNECTIONS = 32

REQUEST_SECONDS = 10.0
"""Time for a connection to send its request and to read the answer."""

MAX_HEAD_BYTES = 16 * 1024
"""Maximum size of a request's first line and headers."""

PROBE_SECONDS = 5.0
"""Time for the server's event loop to answer a probe. If it takes longer, the server is neither alive nor ready."""

CPU_SHARE = 0.1

MAX_PAUSE_SECONDS = 1.0
"""Maximum pause of new connections after much work, so that a probe is answered in time."""

UNREAD_PARTS = 4
"""Parts of MAX_HEAD_BYTES at most that are read after the answer. A client that sends more may lose the answer."""

RETRY_SECONDS = 0.1
"""Pause after a failed accept: the process has no file descriptor left, or the client has left."""

BACKLOG = 128


class Answer(NamedTuple):
    """An answer in HTTP."""

    status: HTTPStatus
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({"Content-Type": "text/plain; charset=utf-8"})

    def encode(self, *, with_body: bool) -> bytes:
        """Returns its bytes; an answer to HEAD has no body."""
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
        return head + self.body if with_body else head


Probe = Callable[[], bool]
"""Returns whether a check succeeds. It is called on the server's event loop."""


@contextlib.contextmanager
def monitoring(address: Address, registry: CollectorRegistry, *, alive: Probe, ready: Probe) -> Iterator[Address]:
    """Serves in a separate thread; yields the address with the port that the system chose. Raises AddressError.

    Enter it in the server's event loop.
    """
    server = Monitoring(registry, {"/healthz": alive, "/readyz": ready})
    with _listen(address) as listener:
        ended = asyncio.Event()
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_run, args=(loop, server.serve(listener, ended)), name="monitoring")
        thread.start()
        try:
            yield Address(address.host, listener.getsockname()[1])
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()


class Monitoring:
    """Answers the requests. Create it in the server's event loop; `serve` runs in another."""

    def __init__(self, registry: CollectorRegistry, probes: Mapping[str, Probe]) -> None:
        """Takes the probes by path."""
        self._registry = registry
        self._probes = probes
        self._served_loop = asyncio.get_running_loop()
        self._connections: dict[asyncio.Task[None], socket.socket] = {}  # The oldest first.

    async def serve(self, listener: socket.socket, ended: asyncio.Event) -> None:
        """Serves until `ended` is set."""
        accepting = asyncio.create_task(self._accept(listener))
        await ended.wait()
        for task in (accepting, *self._connections):
            task.cancel()
        await asyncio.wait([accepting, *self._connections])

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        used = time.thread_time()
        while True:
            # All work of this thread is for its connections: new ones wait until it may do more.
            now = time.thread_time()
            pause, used = (now - used) * (1 / CPU_SHARE - 1), now
            await asyncio.sleep(min(pause, MAX_PAUSE_SECONDS))
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if len(self._connections) >= MAX_CONNECTIONS:
                oldest = next(iter(self._connections))
                oldest.cancel()
                await asyncio.wait([oldest])
            task = asyncio.create_task(self._serve_client(client))
            self._connections[task] = client
            task.add_done_callback(self._close)

    def _close(self, task: asyncio.Task[None]) -> None:
        self._connections.pop(task).close()

    async def _serve_client(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):  # A client may leave at any time.
            async with asyncio.timeout(REQUEST_SECONDS):
                head = b""
                while b"\r\n\r\n" not in head and len(head) <= MAX_HEAD_BYTES:
                    received = await loop.sock_recv(client, MAX_HEAD_BYTES)
                    if not received:
                        return
                    head += received
                answer = await self._answer(head)
                await loop.sock_sendall(client, answer.encode(with_body=not head.startswith(b"HEAD ")))
                client.shutdown(socket.SHUT_WR)
                # Closing with unread bytes would reset the connection, and the client might lose the answer.
                for _ in range(UNREAD_PARTS):
                    if not await loop.sock_recv(client, MAX_HEAD_BYTES):
                        break

    async def _answer(self, head: bytes) -> Answer:
        """Returns the answer to a request's first line and headers, which may be cut short."""
        line, _, fields = head.decode("latin-1").partition("\r\n")
        method, _, rest = line.partition(" ")
        target, _, version = rest.partition(" ")
        path, _, query = target.partition("?")
        if not version.startswith("HTTP/1."):
            return _text(HTTPStatus.BAD_REQUEST, "this port speaks HTTP/1.1")
        if "\r\n\r\n" not in fields and fields != "\r\n":
            return _text(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"send at most {MAX_HEAD_BYTES} bytes of headers")
        if path != METRICS_PATH and path not in self._probes:
            return _text(HTTPStatus.NOT_FOUND, f"there are {', '.join([METRICS_PATH, *self._probes])}")
        if method not in ("GET", "HEAD"):
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, "use GET or HEAD")
        if path == METRICS_PATH:
            return self._metrics(query, fields)
        return await self._probe(self._probes[path])

    def _metrics(self, query: str, fields: str) -> Answer:
        """Returns the metrics in the format that the request's headers accept; `name[]` in the query selects some."""
        pairs = (field.partition(":") for field in fields.split("\r\n"))
        accepted = ",".join(value for name, _, value in pairs if name.lower() == "accept")
        names = parse_qs(query).get("name[]")
        registry = self._registry.restricted_registry(names) if names else self._registry
        try:
            encode, content_type = choose_encoder(accepted)
            return Answer(HTTPStatus.OK, encode(registry), {"Content-Type": content_type})
        except (TypeError, ValueError):  # prometheus_client cannot parse the version.
            return _text(HTTPStatus.BAD_REQUEST, "the Accept header has an invalid version")

    async def _probe(self, probe: Probe) -> Answer:
        """Asks the server's event loop, which may hang."""

        async def check() -> bool:
            return probe()

        asked = asyncio.run_coroutine_threadsafe(check(), self._served_loop)
        try:
            succeeded = await asyncio.wait_for(asyncio.wrap_future(asked), PROBE_SECONDS)
        except TimeoutError:
            return _text(HTTPStatus.SERVICE_UNAVAILABLE, "the server does not respond")
        return _text(HTTPStatus.OK, "ok") if succeeded else _text(HTTPStatus.SERVICE_UNAVAILABLE, "not serving")


def _text(status: HTTPStatus, text: str) -> Answer:
    return Answer(status, f"{text}\n".encode())


def _listen(address: Address) -> socket.socket:
    """Returns a socket that listens; raises AddressError."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(target)
            listener.listen(BACKLOG)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:  # UnicodeError: the host is not a valid DNS name.
        reason = getattr(error, "strerror", None) or first_line(error)
        raise AddressError(f"cannot serve metrics on {address}: {reason}; choose another with --metrics") from None
    return listener


def _run(loop: asyncio.AbstractEventLoop, serving: Coroutine[Any, Any, None]) -> None:
    with contextlib.closing(loop):
        loop.run_until_complete(serving)
