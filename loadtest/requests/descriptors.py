"""The sources of a method's description: `chaja.v1`, a .proto file, or the server's reflection.

Each source gives a `FileDescriptorSet` with everything that the method's messages need, so that a worker process can
build the messages without the source.
"""

import importlib
import pkgutil
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import cast

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_database import DescriptorDatabase
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message

from chaja import v1
from loadtest.errors import UsageError
from loadtest.requests.rows import bytes_of

SHOWN_ERRORS = 3
_LOGGED = re.compile(r"[IWEF]\d{4} |WARNING: |.*: warning: ")
"""Lines of protoc that are not errors: those of its log, which have a severity and a date, and warnings."""

CHAJA = "chaja.v1"
MODULES = (any_pb2, descriptor_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
WELL_KNOWN: dict[str, FileDescriptor] = {module.DESCRIPTOR.name: module.DESCRIPTOR for module in MODULES}
"""The files of the well-known types by name."""


def chaja_descriptors() -> FileDescriptorSet:
    """Returns every file of `chaja.v1`."""
    files = []
    for module in pkgutil.iter_modules(v1.__path__, f"{v1.__name__}."):
        if module.name.endswith("_pb2"):
            files.append(importlib.import_module(module.name).DESCRIPTOR)
    return _closure(files)


def proto_descriptors(path: Path, *, import_paths: Iterable[Path] = ()) -> FileDescriptorSet:
    """Compiles a .proto file. Its imports are relative to its folder or to `import_paths`.

    Raises:
        UsageError: protoc rejects the file; the error has protoc's message.
    """
    if not path.is_file():
        raise UsageError(f"{path} cannot be read: no such file")
    folders = [*import_paths, path.parent]
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "descriptors"
        # A separate process: here, protoc would bypass sys.stderr. The module knows the path of the well-known types.
        command = [sys.executable, "-m", "grpc_tools.protoc", *(f"-I{folder}" for folder in folders)]
        command += ["--include_imports", f"--descriptor_set_out={out}", str(path)]
        compiled = subprocess.run(command, capture_output=True, text=True, check=False)
        if compiled.returncode != 0:
            raise UsageError(_refusal(path, compiled.stderr))
        return FileDescriptorSet.FromString(out.read_bytes())


def _refusal(path: Path, said: str) -> str:
    """Returns why protoc rejects a file, in one line: its first errors, without its warnings."""
    if _is_protoset(path):
        return f"{path} is not a .proto file but a protoset: give it with --protoset"
    errors = [" ".join(line.split()) for line in said.splitlines() if line.strip() and not _LOGGED.match(line)]
    more = f" (and {len(errors) - SHOWN_ERRORS} more errors)" if len(errors) > SHOWN_ERRORS else ""
    return f"{path} is not a valid .proto file: {' '.join(errors[:SHOWN_ERRORS])}{more}"


def _is_protoset(path: Path) -> bool:
    try:
        return bool(FileDescriptorSet.FromString(bytes_of(path)).file)
    except (OSError, DecodeError):
        return False


def protoset_descriptors(path: Path) -> FileDescriptorSet:
    """Reads a serialized `FileDescriptorSet`, as protoc and buf write it.

    Raises:
        UsageError: The file cannot be read, is not such a set, or lacks a file that another one imports.
    """
    try:
        found = FileDescriptorSet.FromString(bytes_of(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except DecodeError:
        found = FileDescriptorSet()
    if not found.file:
        raise UsageError(f"{path} is not a protoset: write it with protoc --include_imports --descriptor_set_out=FILE")
    return checked(found, source=f"{path} is not a valid protoset", advice=": add --include_imports to protoc")


def checked(found: FileDescriptorSet, *, source: str, advice: str = "") -> FileDescriptorSet:
    """Returns the files, if a pool can be built of them and of the well-known types.

    Raises:
        UsageError: A file is invalid, or its imports are missing; the message begins with `source`.
    """
    known = {file.name for file in found.file} | WELL_KNOWN.keys()
    for file in found.file:
        if lacking := [name for name in file.dependency if name not in known]:
            raise UsageError(f"{source}: it lacks {lacking[0]}, which {file.name} imports{advice}")
    try:  # protobuf would recurse without end.
        TopologicalSorter({file.name: file.dependency for file in found.file}).prepare()
    except CycleError as error:
        raise UsageError(f"{source}: its files import each other: {', '.join(error.args[1])}") from None
    pool = pool_of(found)
    for file in found.file:
        try:
            pool.FindFileByName(file.name)
        except (KeyError, TypeError) as error:
            raise UsageError(f"{source}: {' '.join(str(error).split())}") from None
    return found


def descriptor_of(message_class: type[Message]) -> Descriptor:
    """Returns a class's descriptor, for every implementation of protobuf."""
    return cast(Descriptor, message_class.DESCRIPTOR)


def pool_of(descriptors: FileDescriptorSet) -> DescriptorPool:
    """Returns a pool of the files, given in any order, and of the well-known types.

    A `google.protobuf.Any` may hold a well-known type that the files do not import.
    """
    database = DescriptorDatabase()
    defined = set()
    for file in descriptors.file:
        database.Add(file)
        defined |= {f"{file.package}.{message.name}" for message in file.message_type}
    for name in WELL_KNOWN.keys() - {file.name for file in descriptors.file}:
        if any(message.full_name in defined for message in WELL_KNOWN[name].message_types_by_name.values()):
            continue  # A copy under another name has them.
        file = FileDescriptorProto()
        WELL_KNOWN[name].CopyToProto(file)
        database.Add(file)
    return DescriptorPool(database)


def _closure(files: Iterable[FileDescriptor]) -> FileDescriptorSet:
    """Returns the files and everything that they import."""
    found = FileDescriptorSet()
    seen: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name not in seen:
            seen.add(file.name)
            for dependency in file.dependencies:
                add(dependency)
            file.CopyToProto(found.file.add())

    for file in files:
        add(file)
    return found
