import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

import chaja
from chaja.v1 import GetServerInfoRequest, GetServerInfoResponse, InfoServiceServicer
from chaja.v1 import add_InfoServiceServicer_to_server as add_servicer
from tests.integration.errors import code_of
from tests.ports import free_ports

SLOW_SECONDS = 0.6


class SlowInfo(InfoServiceServicer):
    async def GetServerInfo(self, request: GetServerInfoRequest, context: Any) -> GetServerInfoResponse:
        await asyncio.sleep(SLOW_SECONDS)
        return GetServerInfoResponse()


@pytest.fixture
async def slow_server() -> AsyncIterator[str]:
    server = grpc.aio.server()
    add_servicer(SlowInfo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


def call(target: str, *, default: float, timeout: float | None) -> grpc.StatusCode:
    with chaja.connect(target, timeout_seconds=default) as client:
        return code_of(client.info.GetServerInfo, GetServerInfoRequest(), timeout=timeout)


async def call_async(target: str, *, default: float, timeout: float | None) -> grpc.StatusCode:
    async with chaja.connect_async(target, timeout_seconds=default) as client:
        try:
            await client.info.GetServerInfo(GetServerInfoRequest(), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("default", "timeout", "code"),
    [
        (0.1, None, grpc.StatusCode.DEADLINE_EXCEEDED),
        (30.0, None, grpc.StatusCode.OK),
        (0.1, 30.0, grpc.StatusCode.OK),
        (30.0, 0.1, grpc.StatusCode.DEADLINE_EXCEEDED),
    ],
)
async def test_the_default_deadline_applies_to_calls_that_set_none(
    slow_server: str, default: float, timeout: float | None, code: grpc.StatusCode
) -> None:
    assert await call_async(slow_server, default=default, timeout=timeout) == code
    assert await asyncio.to_thread(call, slow_server, default=default, timeout=timeout) == code


@pytest.mark.parametrize("target", ["", " ", "localhost", "http://localhost:50051"])
def test_an_invalid_target_is_rejected_at_once(target: str) -> None:
    with pytest.raises(ValueError, match="expected host:port or a gRPC target"):
        chaja.connect(target)
    with pytest.raises(ValueError, match="expected host:port or a gRPC target"):
        chaja.connect_async(target)


def test_options_override_the_defaults() -> None:
    (port,) = free_ports(1)
    with (
        chaja.connect(f"127.0.0.1:{port}", options=[("grpc.service_config", "{}")]) as client,
        pytest.raises(grpc.RpcError, match="UNAVAILABLE"),  # With the default config it would wait.
    ):
        client.info.GetServerInfo(GetServerInfoRequest(), timeout=20)
