"""A server with methods for every shape of call, for the tests of the transport."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc

from server.transport.server import Server

SERVICE = "test.Service"


@dataclass
class Methods:
    """What the server answers; tests look at what it saw.

    Attributes:
        cancelled: Names of methods that were cancelled.
        contexts: The context of every call.
        written: Messages that `Flood` has got rid of.
        gate: `Gated` and `Trickle` wait for it.
    """

    cancelled: list[str] = field(default_factory=list)
    contexts: list[Any] = field(default_factory=list)
    written: int = 0
    read: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def Echo(self, request: bytes, context: Any) -> bytes:  # noqa: N802
        self.contexts.append(context)
        return request

    async def Metadata(self, request: bytes, context: Any) -> bytes:  # noqa: N802
        self.contexts.append(context)
        echoed = [datum for datum in context.invocation_metadata() if datum.key.startswith("x-")]
        await context.send_initial_metadata(echoed)
        context.set_trailing_metadata(echoed)
        return context.peer().encode()  # type: ignore[no-any-return]

    async def Abort(self, request: bytes, context: Any) -> bytes:  # noqa: N802
        await context.abort(grpc.StatusCode.DATA_LOSS, request.decode(), (("x-why-bin", b"\0\1"),))
        raise AssertionError("abort returned")

    async def SetCode(self, request: bytes, context: Any) -> bytes:  # noqa: N802
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("nowhere")
        return b"ignored"

    async def Fail(self, request: bytes, context: Any) -> bytes:  # noqa: N802
        raise RuntimeError("a secret")

    async def Gated(self, request: bytes, context: Any) -> bytes:  # noqa: N802
        self.contexts.append(context)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append("Gated")
            raise
        return request

    async def Repeat(self, request: bytes, context: Any) -> AsyncIterator[bytes]:  # noqa: N802
        for number in range(int(request)):
            yield str(number).encode()

    async def Flood(self, request: bytes, context: Any) -> None:  # noqa: N802
        self.contexts.append(context)
        try:
            while True:
                await context.write(bytes(int(request)))
                self.written += 1
        except asyncio.CancelledError:
            self.cancelled.append("Flood")
            raise

    async def Count(self, requests: AsyncIterator[bytes], context: Any) -> bytes:  # noqa: N802
        total = 0
        async for request in requests:
            total += len(request)
        return str(total).encode()

    async def Chat(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:  # noqa: N802
        async for request in requests:
            yield request
        yield b"bye"

    async def ReadWrite(self, requests: AsyncIterator[bytes], context: Any) -> None:  # noqa: N802
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(request)

    async def Trickle(self, requests: AsyncIterator[bytes], context: Any) -> bytes:  # noqa: N802
        """Reads nothing until the gate opens."""
        await self.gate.wait()
        async for _ in requests:
            self.read += 1
        return b""

    def handlers(self) -> Mapping[str, Any]:
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        methods: dict[str, Any] = {
            name: unary(getattr(self, name)) for name in ("Echo", "Metadata", "Abort", "SetCode", "Fail", "Gated")
        }
        methods |= {name: stream(getattr(self, name)) for name in ("Repeat", "Flood")}
        methods |= {name: grpc.stream_unary_rpc_method_handler(getattr(self, name)) for name in ("Count", "Trickle")}
        methods |= {name: grpc.stream_stream_rpc_method_handler(getattr(self, name)) for name in ("Chat", "ReadWrite")}
        return methods


@dataclass
class Serving:
    """A running server."""

    server: Server
    methods: Methods
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def serving(*, tls: Any = None, **options: Any) -> AsyncIterator[Serving]:
    """Runs a server for a while."""
    server, methods = Server(**{"max_message_bytes": 4 * 1024 * 1024, **options}), Methods()
    server.add_registered_method_handlers(SERVICE, methods.handlers())
    port = await server.listen("127.0.0.1", 0, tls=tls)
    try:
        yield Serving(server, methods, port)
    finally:
        await server.stop(0)


def insecure_channel(address: str, **options: Any) -> Any:
    """Returns a channel whose messages are bytes, which its types cannot say."""
    return grpc.aio.insecure_channel(address, **options)


def synchronous_channel(address: str) -> Any:
    """Returns such a channel of the other kind."""
    return grpc.insecure_channel(address)


async def until(condition: Any, seconds: float = 5.0) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
