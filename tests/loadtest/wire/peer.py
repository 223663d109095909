"""A server that a test scripts, with the library h2, which checks what the client sends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import cast

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

METHOD = "/test.Test/Call"
HEADERS = ((":status", "200"), ("content-type", "application/grpc"))
OK = (("grpc-status", "0"),)

INTERNAL_ERROR, REFUSED_STREAM, CANCEL, CALM, SECURITY = 2, 7, 8, 11, 12
"""Errors of HTTP/2 that a stream is reset with (RFC 9113, section 7)."""

Answer = Callable[["PeerConnection", int, bytes], None]


def prefixed(*messages: bytes) -> bytes:
    """Returns messages as they are sent, each behind its length."""
    return b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in messages)


def echo(connection: PeerConnection, stream: int, body: bytes) -> None:
    """Answers with what was asked."""
    connection.answer(stream, body)


def silence(connection: PeerConnection, stream: int, body: bytes) -> None:
    """Answers with nothing."""


class Peer:
    """What the server does, and what it saw."""

    def __init__(self, answer: Answer, settings: dict[SettingCodes, int], *, early: bool) -> None:
        self.answer = answer
        self.settings = settings
        self.early = early
        self.connections: list[PeerConnection] = []
        self.resets: list[tuple[int, int]] = []
        self.pongs: list[bytes] = []
        self.acknowledged = 0
        self.most_open = 0
        self.error: Exception | None = None
        self.address = ""

    @property
    def open_connections(self) -> int:
        return sum(not connection.transport.is_closing() for connection in self.connections)


class PeerConnection(asyncio.Protocol):
    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.local_settings = Settings(client=False, initial_values=peer.settings)
        self.h2.decoder.max_allowed_table_size = self.h2.local_settings.header_table_size
        self.requests: dict[int, list[bytes]] = {}
        self.headers: list[list[tuple[str, str]]] = []
        self._unsent: dict[int, tuple[memoryview, Sequence[tuple[str, str]]]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.peer.connections.append(self)
        self.h2.initiate_connection()
        self.flush()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self.h2.receive_data(data):
                self._on_event(event)
        except ProtocolError as error:
            self.peer.error = self.peer.error or error
        self.flush()

    def _on_event(self, event: events.Event) -> None:
        match event:
            case events.RequestReceived():
                self.requests[event.stream_id] = []
                self.headers.append([(str(name), str(value)) for name, value in event.headers])
                self.peer.most_open = max(self.peer.most_open, self.h2.open_inbound_streams)
                if self.peer.early:
                    self.peer.answer(self, event.stream_id, b"")
            case events.DataReceived():
                self.requests[event.stream_id].append(event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case events.StreamEnded() if not self.peer.early:
                self.peer.answer(self, event.stream_id, b"".join(self.requests[event.stream_id]))
            case events.StreamReset():
                self._unsent.pop(event.stream_id, None)
                self.peer.resets.append((event.stream_id, int(event.error_code)))
            case events.WindowUpdated() | events.RemoteSettingsChanged():
                self._send()
            case events.PingAckReceived():
                self.peer.pongs.append(event.ping_data)
            case events.SettingsAcknowledged():
                self.peer.acknowledged += 1
            case _:
                pass

    def answer(
        self,
        stream: int,
        body: bytes,
        trailers: Sequence[tuple[str, str]] = OK,
        headers: Sequence[tuple[str, str]] = HEADERS,
    ) -> None:
        """Sends a whole answer, as fast as the client takes it; with no trailers, the last data end it."""
        self.h2.send_headers(stream, headers)
        self._unsent[stream] = (memoryview(body), trailers)
        self._send()
        self.flush()

    def error(self, stream: int, *headers: tuple[str, str]) -> None:
        """Sends an answer that is headers only."""
        self.h2.send_headers(stream, headers, end_stream=True)
        self.flush()

    def raw(self, data: bytes) -> None:
        """Sends bytes past h2."""
        self.flush()
        self.transport.write(data)

    def _send(self) -> None:
        for stream, (unsent, trailers) in list(self._unsent.items()):
            rest = unsent
            while rest:
                size = min(len(rest), self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
                if size <= 0:
                    break
                self.h2.send_data(stream, bytes(rest[:size]), end_stream=size == len(rest) and not trailers)
                rest = rest[size:]
            self._unsent[stream] = (rest, trailers)
            if not rest:
                del self._unsent[stream]
                if trailers:
                    self.h2.send_headers(stream, trailers, end_stream=True)

    def change(self, setting: SettingCodes, value: int) -> None:
        """Sends a changed setting."""
        self.h2.update_settings({setting: value})
        self.flush()

    def flush(self) -> None:
        if data := self.h2.data_to_send():
            self.transport.write(data)


@contextlib.asynccontextmanager
async def serving(
    answer: Answer = echo,
    settings: dict[SettingCodes, int] | None = None,
    *,
    early: bool = False,
    port: int = 0,
    path: str = "",
) -> AsyncIterator[Peer]:
    """Serves while it is open; what the client did against the rules of HTTP/2 is raised at the end."""
    peer = Peer(answer, settings or {}, early=early)
    loop = asyncio.get_running_loop()
    if path:
        server = await loop.create_unix_server(lambda: PeerConnection(peer), path)
        peer.address = f"unix:{path}"
    else:
        server = await loop.create_server(lambda: PeerConnection(peer), "127.0.0.1", port)
        peer.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield peer
    finally:
        await asyncio.sleep(0.005)  # A server that is closed while it accepts leaves a socket open.
        server.close()
        for connection in peer.connections:
            connection.transport.abort()
        await asyncio.sleep(0)
        await server.wait_closed()
    if peer.error is not None:
        raise peer.error


async def until(condition: Callable[[], object], *, seconds: float = 5) -> None:
    """Waits for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)
