"""A method of a server: its name, whether it streams, and its messages."""

import functools
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

from loadtest.errors import UsageError
from loadtest.requests.descriptors import CHAJA, chaja_descriptors, pool_of, proto_descriptors, protoset_descriptors
from loadtest.requests.reflection import reflected_descriptors
from loadtest.target import Target


@dataclass(frozen=True)
class Method:
    """The data to call a method.

    Attributes:
        service: Full name of the service, as in `chaja.v1.SearchService`.
        name: Name of the method, as in `Search`.
        client_streaming: Whether the client sends a stream.
        server_streaming: Whether the server answers with a stream.
        input_type: Full name of the request message.
        output_type: Full name of the response message.
        descriptors: Serialized `FileDescriptorSet` of the messages.
    """

    service: str
    name: str
    client_streaming: bool
    server_streaming: bool
    input_type: str
    output_type: str
    descriptors: bytes

    @property
    def path(self) -> str:
        """The method's path on the wire."""
        return f"/{self.service}/{self.name}"

    @property
    def request_class(self) -> type[Message]:
        """The class of its request messages."""
        return _message_class(self.descriptors, self.input_type)

    @property
    def response_class(self) -> type[Message]:
        """The class of its response messages."""
        return _message_class(self.descriptors, self.output_type)


@functools.lru_cache
def _message_class(descriptors: bytes, name: str) -> type[Message]:
    pool = pool_of(FileDescriptorSet.FromString(descriptors))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


async def find_method(
    name: str,
    *,
    target: Target,
    proto: Path | None = None,
    import_paths: tuple[Path, ...] = (),
    protoset: Path | None = None,
) -> Method:
    """Finds a method by its name.

    Args:
        name: `Search`, `SearchService/Search` or `chaja.v1.SearchService/Search`; a `.` may stand for the last `/`.
            Methods of other packages need their service's full name, unless a `proto` is given.
        target: The server; its reflection describes methods outside `chaja.v1`.
        proto: A .proto file to take the method from instead.
        import_paths: Folders that the file's imports are relative to.
        protoset: A file with a serialized `FileDescriptorSet` to take the method from instead.

    Raises:
        UsageError: No method, or more than one, has this name.
        AttackError: The server cannot be reached, or its reflection fails.
    """
    if proto is not None and protoset is not None:
        raise UsageError("--proto and --protoset both define the method: give one of them")
    if protoset is not None:
        return _pick(name, protoset_descriptors(protoset))
    if proto is not None:
        return _pick(name, proto_descriptors(proto, import_paths=import_paths))
    service, _, _ = _split(name)
    ours = chaja_descriptors()
    is_ours = any(f".{method.service}".endswith(f".{service}") for method in methods_of(ours))
    if not service or is_ours or f"{service}.".startswith(f"{CHAJA}."):
        return _pick(name, ours)
    return _pick(name, await reflected_descriptors(target, service))


def methods_of(descriptors: FileDescriptorSet) -> list[Method]:
    """Returns every method of the files."""
    serialized = descriptors.SerializeToString()
    return [
        Method(
            service=f"{file.package}.{service.name}" if file.package else service.name,
            name=method.name,
            client_streaming=method.client_streaming,
            server_streaming=method.server_streaming,
            input_type=method.input_type.removeprefix("."),
            output_type=method.output_type.removeprefix("."),
            descriptors=serialized,
        )
        for file in descriptors.file
        for service in file.service
        for method in service.method
    ]


def _split(name: str) -> tuple[str, str, str]:
    """Returns service (perhaps empty), separator and method."""
    name = name.removeprefix("/")
    return name.rpartition("/") if "/" in name else name.rpartition(".")


def _pick(name: str, descriptors: FileDescriptorSet) -> Method:
    service, _, wanted = _split(name)
    methods = methods_of(descriptors)
    found = [
        method
        for method in methods
        if method.name == wanted and (not service or f".{method.service}".endswith(f".{service}"))
    ]
    exact = [method for method in found if method.service == service]  # Another full name may end in this one.
    if len(exact or found) == 1:
        return (exact or found)[0]
    known = ", ".join(f"{method.service}/{method.name}" for method in methods) or "none"
    if found:
        raise UsageError(f"there is more than one {name}; add its service: {known}")
    elsewhere = "" if service else "; a method of another package is written package.Service/Method"
    raise UsageError(f"there is no method {name}; there are: {known}{elsewhere}")
