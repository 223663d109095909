"""Asks a server for the description of its services: `grpc.reflection.v1`, or else its older `v1alpha`.

The two protocols have the same messages under different names, so v1alpha's messages serve for both.
Source: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from __future__ import annotations

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
    # Each question is a call of its own, sent in one piece: in a stream, a refusal that comes before the question
    # is written gets lost in gRPC's own "Internal error from Core".
    call = channel.unary_unary(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )

    async def files(request: ServerReflectionRequest) -> list[FileDescriptorProto]:
        response = await call(request, timeout=TIMEOUT_SECONDS, metadata=metadata)
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
    return FileDescriptorSet(file=found.values())
