import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import (
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from loadtest.errors import AttackError, UsageError
from loadtest.requests.descriptors import pool_of, proto_descriptors
from loadtest.requests.method import find_method
from loadtest.requests.reflection import reflected_descriptors
from loadtest.target import Target

BROKEN = ServiceDescriptorProto(
    name="S", method=[MethodDescriptorProto(name="M", input_type=".x.Missing", output_type=".x.Missing")]
)


@asynccontextmanager
async def running(server: grpc.aio.Server) -> AsyncIterator[Target]:
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield Target(address=f"127.0.0.1:{port}")
    finally:
        await server.stop(None)


@asynccontextmanager
async def reflecting(services: Sequence[str], pool: DescriptorPool | None = None) -> AsyncIterator[Target]:
    server = grpc.aio.server()
    reflection.enable_server_reflection([*services, reflection.SERVICE_NAME], server, pool)
    async with running(server) as target:
        yield target


@asynccontextmanager
async def reflecting_by(
    behaviour: Callable[[AsyncIterator[bytes], grpc.aio.ServicerContext[bytes, bytes]], Any],
) -> AsyncIterator[Target]:
    """Serves the newer reflection protocol with a scripted behaviour on serialized messages."""
    server = grpc.aio.server()
    handlers: dict[str, Any] = {"ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(behaviour)}
    service = "grpc.reflection.v1.ServerReflection"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    async with running(server) as target:
        yield target


def response_of(file: FileDescriptorProto) -> bytes:
    """Returns a serialized response with one file."""
    response = ServerReflectionResponse()
    response.file_descriptor_response.file_descriptor_proto.append(file.SerializeToString())
    return response.SerializeToString()


async def test_reflection_gives_a_method_with_its_imports(protos: Path) -> None:
    pool = pool_of(proto_descriptors(protos / "shop.proto"))
    async with reflecting(["shop.v1.Finder"], pool) as target:
        method = await find_method("shop.v1.Finder/FindMany", target=target)
        assert (method.client_streaming, method.server_streaming) == (True, True)
        request = method.request_class(text="coat", item={"name": "x", "colour": 1})
        assert method.request_class.FromString(request.SerializeToString()) == request
        assert (await find_method("shop.v1.Finder.Find", target=target)).path == "/shop.v1.Finder/Find"
        assert {file.name for file in FileDescriptorSet.FromString(method.descriptors).file} == {
            "shop.proto",
            "common/item.proto",
            "google/protobuf/duration.proto",
        }


def answering(answers: Callable[[str], bytes]) -> Any:
    """Returns the behaviour of a server that answers by the name of the wanted file; empty for that of the symbol."""

    async def answer(
        requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[bytes]:
        async for request in requests:
            yield answers(ServerReflectionRequest.FromString(request).file_by_filename)

    return answer


async def test_a_server_need_not_describe_the_well_known_types(protos: Path) -> None:
    files = {file.name: file for file in proto_descriptors(protos / "shop.proto").file}

    def known(name: str) -> bytes:
        if name.startswith("google/"):
            return ServerReflectionResponse(error_response={"error_message": "no"}).SerializeToString()
        return response_of(files[name or "shop.proto"])

    async with reflecting_by(answering(known)) as target:
        method = await find_method("shop.v1.Finder/Find", target=target)
    assert method.request_class(text="coat").IsInitialized()


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (b"\xff", AttackError, "an answer is malformed"),
        (b"\x22\x04\x0a\x02\xff\xff", AttackError, "an answer is malformed"),
        (response_of(FileDescriptorProto(name="a.proto", dependency=["a.proto"])), UsageError, "is not valid: "),
        (response_of(FileDescriptorProto(name="a.proto", service=[BROKEN])), UsageError, "is not valid: .*x.Missing"),
    ],
)
async def test_malformed_descriptions_are_refused(answer: bytes, kind: type[Exception], message: str) -> None:
    async with reflecting_by(answering(lambda name: answer)) as target:
        with pytest.raises(kind, match=message):
            await find_method("a.S/M", target=target)


async def test_the_error_names_a_symbol_that_the_server_does_not_know(protos: Path) -> None:
    pool = pool_of(proto_descriptors(protos / "shop.proto"))
    async with reflecting(["shop.v1.Finder"], pool) as target:
        with pytest.raises(UsageError, match=r"the server does not know shop\.v2\.Finder: "):
            await find_method("shop.v2.Finder/Find", target=target)
        with pytest.raises(UsageError, match=r"no method shop\.v1\.Finder/Lose; there are: shop\.v1\.Finder/Find, "):
            await find_method("shop.v1.Finder/Lose", target=target)


async def test_a_server_without_reflection_asks_for_a_proto_file() -> None:
    async with running(grpc.aio.server()) as target:
        for _ in range(20):  # The refusal may arrive before or after the request is sent.
            with pytest.raises(UsageError, match=r"has no reflection: give its \.proto file with --proto"):
                await find_method("shop.v1.Finder/Find", target=target)


async def test_reflection_fails_where_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.channel.CONNECT_SECONDS", 0.2)
    with pytest.raises(AttackError, match=r"127\.0\.0\.1:1 does not answer: no connection"):
        await find_method("shop.v1.Finder/Find", target=Target(address="127.0.0.1:1"))


async def test_the_newer_protocol_is_preferred_and_gets_the_metadata(protos: Path) -> None:
    files = proto_descriptors(protos / "shop.proto")
    asked: list[tuple[str, str]] = []

    async def answer(
        requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[bytes]:
        asked.extend((name, str(value)) for name, value in context.invocation_metadata() or ())
        async for request in requests:
            # One file at a time, so that the client has to ask for each import.
            name = ServerReflectionRequest.FromString(request).file_by_filename or "shop.proto"
            yield response_of(next(file for file in files.file if file.name == name))

    async with reflecting_by(answer) as target:
        found = await reflected_descriptors(dataclasses.replace(target, token="t0ken"), "shop.v1.Finder")
    assert {file.name for file in found.file} == {file.name for file in files.file}
    assert ("authorization", "Bearer t0ken") in asked


@pytest.mark.parametrize("answers", [0, 1])
async def test_the_error_quotes_a_server_that_refuses(protos: Path, answers: int) -> None:
    file = next(file for file in proto_descriptors(protos / "shop.proto").file if file.name == "shop.proto")

    async def refuse(
        requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[bytes]:
        for _ in range(answers):
            await anext(requests)
            yield response_of(file)
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

    async with reflecting_by(refuse) as target:
        for _ in range(20):
            with pytest.raises(AttackError, match="PERMISSION_DENIED: not you"):
                await reflected_descriptors(target, "shop.v1.Finder")
