"""A client that is told every frame: the library h2 over a socket, or bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import h2.config
import h2.connection
import h2.events
import hpack

from tests.server.transport.serving import SERVICE

E = TypeVar("E", bound=h2.events.Event)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
EMPTY_SETTINGS = b"\0\0\0\4\0\0\0\0\0"


def headers(name: str = "Echo", **more: str) -> list[tuple[str, str]]:
    """Returns the headers of a request; `_` in names stands for `-`, `None` leaves one out."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": f"/{SERVICE}/{name}",
        ":authority": "test",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    for key, value in more.items():
        fields[f":{key}" if f":{key}" in fields else key.replace("_", "-")] = value
    return list(fields.items())


def fields_of(event: Any) -> dict[str, str]:
    """Returns the headers of an event."""
    return {str(name): str(value) for name, value in event.headers}


def message(content: bytes, flag: int = 0) -> bytes:
    """Returns a message behind its prefix."""
    return bytes((flag,)) + len(content).to_bytes(4, "big") + content


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Returns a frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


class Script:
    """A connection whose frames the test chooses. Events are kept until somebody asks for them.

    Attributes:
        h2: The state of the connection; `flush` sends what it wants to send.
        events: What came.
        closed: Whether the server has closed.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.events: list[Any] = []
        self.closed = False

    async def flush(self, more: bytes = b"") -> None:
        """Sends."""
        self._writer.write(self.h2.data_to_send() + more)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def wait(self, kind: type[E], condition: Callable[[Any], bool] = lambda _: True) -> E:
        """Returns the first event of a kind that has not been returned, once it has come."""
        async with asyncio.timeout(5):
            while True:
                for position, event in enumerate(self.events):
                    if isinstance(event, kind) and condition(event):
                        del self.events[position]
                        return event
                assert not self.closed, f"closed; there came {self.events}"
                await self.read()

    async def read(self) -> None:
        """Reads once."""
        try:
            data = await self._reader.read(65_536)
        except ConnectionError:
            data = b""
        if not data:
            self.closed = True
            return
        self.events += self.h2.receive_data(data)
        await self.flush()

    async def until_closed(self) -> None:
        """Reads until the server closes."""
        async with asyncio.timeout(5):
            while not self.closed:
                await self.read()

    async def ask(self, fields: list[tuple[str, str]] | None = None, body: bytes | None = None) -> int:
        """Starts a call; returns its stream."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, fields or headers())
        while body is not None:
            size = min(self.h2.local_flow_control_window(stream), 16_384)
            if size or not body:
                self.h2.send_data(stream, body[:size], end_stream=len(body) <= size)
                body = body[size:] or None
                await self.flush()
            else:
                await self.read()
        await self.flush()
        return stream

    async def trailers(self, stream: int) -> dict[str, str]:
        """Returns the headers that a call ends with."""

        def is_last(event: Any) -> bool:
            return bool(
                event.stream_id == stream and (event.stream_ended or isinstance(event, h2.events.TrailersReceived))
            )

        async with asyncio.timeout(5):
            while True:
                for event in self.events:
                    kinds = (h2.events.ResponseReceived, h2.events.TrailersReceived)
                    if isinstance(event, kinds) and is_last(event):
                        return fields_of(event)
                assert not self.closed, f"closed; there came {self.events}"
                await self.read()


@contextlib.asynccontextmanager
async def scripted(port: int) -> AsyncIterator[Script]:
    """Opens a connection and says hello."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    script = Script(reader, writer)
    script.h2.initiate_connection()
    await script.flush()
    try:
        yield script
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def goaway_for(port: int, data: bytes) -> tuple[int, bytes]:
    """Sends bytes behind the preface; returns code and words of the GOAWAY that they lead to. The server closes."""
    return await answer_to(port, PREFACE + EMPTY_SETTINGS + data)


async def answer_to(port: int, data: bytes) -> tuple[int, bytes]:
    """Sends bytes; returns code and words of the GOAWAY that they lead to."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(10):
            received = bytearray()
            with contextlib.suppress(ConnectionError):
                while part := await reader.read(65_536):
                    received += part
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    start = 0
    while start < len(received):
        size, kind = int.from_bytes(received[start : start + 3], "big"), received[start + 3]
        payload = bytes(received[start + 9 : start + 9 + size])
        if kind == 7:
            return int.from_bytes(payload[4:8], "big"), payload[8:]
        start += 9 + size
    raise AssertionError("no GOAWAY")


def block(name: str = "Echo", **more: str) -> bytes:
    """Returns the header block of a request, which needs no dynamic table."""
    return hpack.Encoder().encode(headers(name, **more))
