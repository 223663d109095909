"""Asks a server for the description of its services, by `grpc.reflection.v1` or the older `v1alpha`.

The two protocols have the same messages under different names, so v1alpha's messages serve for both.
Source: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from loadtest.channel import Channel
from loadtest.codes import OK, UNIMPLEMENTED
from loadtest.core.call import Form
from loadtest.errors import AttackError, UsageError
from loadtest.requests.descriptors import WELL_KNOWN, checked
from loadtest.target import Target

VERSIONS = ("v1", "v1alpha")
MALFORMED = "an answer is malformed; give the method's .proto file with --proto"
TIMEOUT_SECONDS = 10.0


async def reflected_descriptors(target: Target, symbol: str) -> FileDescriptorSet:
    """Returns the file that defines `symbol`, the full name of a service, and its imports.

    Raises:
        UsageError: The server does not know the symbol, or has no reflection.
        AttackError: The server cannot be reached.
    """
    async with Channel(target) as channel:
        await channel.connected()
        for version in VERSIONS:
            try:
                found = await _ask(channel, version, symbol)
            except DecodeError:
                raise AttackError(f"the reflection of {target.address} failed: {MALFORMED}") from None
            if found is not None:
                return checked(found, source=f"the reflection of {target.address} is not valid")
    raise UsageError(
        f"{target.address} has no reflection: give its .proto file with --proto, or a compiled one with --protoset"
    )


class _Unimplemented(Exception):
    """The server does not have this version of the protocol."""


async def _ask(channel: Channel, version: str, symbol: str) -> FileDescriptorSet | None:
    """Asks in one version of the protocol; returns `None` if the server does not have it."""
    path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    ask = channel.method(path, Form(client_streaming=True, server_streaming=True))

    async def files(request: ServerReflectionRequest) -> list[FileDescriptorProto]:
        answer = await ask([request.SerializeToString()], timeout_seconds=TIMEOUT_SECONDS)
        if answer.code == UNIMPLEMENTED:
            raise _Unimplemented
        if answer.code != OK or not answer.messages:
            raise AttackError(f"reflection failed: {answer}")
        response = ServerReflectionResponse.FromString(answer.messages[0])
        if response.HasField("error_response"):
            raise UsageError(f"the server does not know {symbol}: {response.error_response.error_message}")
        encoded = response.file_descriptor_response.file_descriptor_proto
        return [FileDescriptorProto.FromString(file) for file in encoded]

    found: dict[str, FileDescriptorProto] = {}
    try:
        waiting = await files(ServerReflectionRequest(file_containing_symbol=symbol))
    except _Unimplemented:
        return None
    while waiting:
        file = waiting.pop()
        found[file.name] = file
        for name in file.dependency:
            if name not in found:
                try:
                    waiting += await files(ServerReflectionRequest(file_by_filename=name))
                except UsageError:
                    if name not in WELL_KNOWN:  # Some servers do not describe those.
                        raise
    return FileDescriptorSet(file=found.values())
