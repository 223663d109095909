"""Asks a server for the description of its services: `grpc.reflection.v1`, or else its older `v1alpha`.

The two protocols have the same messages under different names, so v1alpha's messages serve for both.
Source: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from __future__ import annotations

import asyncio
import contextlib

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from loadtest.errors import AttackError, UsageError
from loadtest.target import Target

VERSIONS = ("v1", "v1alpha")
TIMEOUT_SECONDS = 10.0


async def reflected_descriptors(target: Target, symbol: str) -> FileDescriptorSet:
    """Returns the file that defines a service and everything that it imports.

    Args:
        target: The server.
        symbol: Full name of the service.

    Raises:
        UsageError: The server does not know the symbol, or has no reflection.
        AttackError: The server cannot be reached.
    """
    async with target.channel() as channel:
        for version in VERSIONS:
            try:
                return await _ask(channel, version, symbol, target.metadata())
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.UNIMPLEMENTED:
                    raise AttackError(
                        f"reflection on {target.address} failed: {error.code().name}: {error.details()}"
                    ) from None
    raise UsageError(f"{target.address} has no reflection: name its .proto file with --proto")


async def _ask(
    channel: grpc.aio.Channel, version: str, symbol: str, metadata: tuple[tuple[str, str], ...]
) -> FileDescriptorSet:
    stream = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )(timeout=TIMEOUT_SECONDS, metadata=metadata)

    async def files(request: ServerReflectionRequest) -> list[FileDescriptorProto]:
        with contextlib.suppress(asyncio.InvalidStateError):  # The call is over already: reading tells why.
            await stream.write(request)
        response = await stream.read()
        if not isinstance(response, ServerReflectionResponse):
            code = await stream.code()
            raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=await stream.details())
        if response.HasField("error_response"):
            raise UsageError(f"the server does not know {symbol}: {response.error_response.error_message}")
        encoded = response.file_descriptor_response.file_descriptor_proto
        return [FileDescriptorProto.FromString(file) for file in encoded]

    found: dict[str, FileDescriptorProto] = {}
    waiting = await files(ServerReflectionRequest(file_containing_symbol=symbol))
    while waiting:
        file = waiting.pop()
        found[file.name] = file
        for name in file.dependency:
            if name not in found:
                waiting += await files(ServerReflectionRequest(file_by_filename=name))
    await stream.done_writing()
    return FileDescriptorSet(file=found.values())
