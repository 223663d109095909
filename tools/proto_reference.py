"""The reference of the protocol in Markdown, from the comments of the protos, for the documentation site.

The anchor of each service, method, message and enum is its full name, such as `chaja.v1.SearchService.Search`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

PROTOS = Path(__file__).parent.parent / "protos"

Comments = dict[tuple[int, ...], str]
"""Comments by the path of their element in the file's descriptor (`SourceCodeInfo.Location.path`)."""

INTRODUCTION = """# Protocol reference

Generated from the comments of `protos/chaja/v1/*.proto`. A field without a value has its type's zero value.
"""


def compile_protos(folder: Path = PROTOS) -> list[FileDescriptorProto]:
    """Returns the descriptors of all `.proto` files under a folder, with their comments, ordered by name.

    Raises:
        subprocess.CalledProcessError: A file is invalid; protoc prints the reason.
    """
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "set"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"--descriptor_set_out={out}"]
        files = sorted(str(path) for path in folder.rglob("*.proto"))
        subprocess.run([*command, "--include_source_info", *files], check=True)
        return sorted(FileDescriptorSet.FromString(out.read_bytes()).file, key=lambda file: file.name)


def reference(files: Sequence[FileDescriptorProto]) -> str:
    """Returns one page about all services, messages and enums of some files."""
    parts = [INTRODUCTION]
    for file in files:
        comments: Comments = {tuple(at.path): at.leading_comments for at in file.source_code_info.location}
        parts.append(f"## {file.name.rpartition('/')[2]}")
        for index, service in enumerate(file.service):
            parts += _service(service, file.package, (6, index), comments)
        for index, message in enumerate(file.message_type):
            parts += _message(message, file.package, (4, index), comments)
        for index, enum in enumerate(file.enum_type):
            parts += _enum(enum, file.package, (5, index), comments)
    return "\n\n".join(parts) + "\n"


def _service(service: ServiceDescriptorProto, scope: str, at: tuple[int, ...], comments: Comments) -> Iterator[str]:
    name = f"{scope}.{service.name}"
    yield _heading(3, service.name, name)
    yield _text(comments.get(at, ""))
    for index, method in enumerate(service.method):
        request = f"{'stream ' if method.client_streaming else ''}{_link(method.input_type)}"
        response = f"{'stream ' if method.server_streaming else ''}{_link(method.output_type)}"
        yield _heading(4, method.name, f"{name}.{method.name}")
        yield f"{request} → {response}"
        yield _text(comments.get((*at, 2, index), ""))


def _message(message: DescriptorProto, scope: str, at: tuple[int, ...], comments: Comments) -> Iterator[str]:
    name = f"{scope}.{message.name}"
    yield _heading(3, message.name, name)
    yield _text(comments.get(at, ""))
    if message.field:
        rows = ["| field | number | type | meaning |", "|---|---|---|---|"]
        for index, field in enumerate(message.field):
            meaning = _cell(comments.get((*at, 2, index), ""))
            rows.append(f"| `{field.name}` | {field.number} | {_type(field, message)} | {meaning} |")
        yield "\n".join(rows)


def _enum(enum: EnumDescriptorProto, scope: str, at: tuple[int, ...], comments: Comments) -> Iterator[str]:
    yield _heading(3, enum.name, f"{scope}.{enum.name}")
    yield _text(comments.get(at, ""))
    rows = ["| value | number | meaning |", "|---|---|---|"]
    for index, value in enumerate(enum.value):
        rows.append(f"| `{value.name}` | {value.number} | {_cell(comments.get((*at, 2, index), ''))} |")
    yield "\n".join(rows)


def _heading(level: int, title: str, anchor: str) -> str:
    return f"{'#' * level} {title} {{ #{anchor} }}"


def _type(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    """Returns a field's type, linked if it is a message or an enum, with its label and its oneof."""
    name = _link(field.type_name) if field.type_name else f"`{FieldDescriptorProto.Type.Name(field.type)[5:].lower()}`"
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {name}"
    if field.proto3_optional:
        return f"optional {name}"
    return f"{name}, one of `{message.oneof_decl[field.oneof_index].name}`" if field.HasField("oneof_index") else name


def _link(type_name: str) -> str:
    """Returns a type's short name with a link, or the full name of a type of protobuf's own."""
    name = type_name.removeprefix(".")
    return f"`{name}`" if name.startswith("google.") else f"[`{name.rpartition('.')[2]}`](#{name})"


def _text(comment: str) -> str:
    """Returns a comment without the space that follows each `//`."""
    return "\n".join(line.removeprefix(" ") for line in comment.splitlines()).strip()


def _cell(comment: str) -> str:
    """Returns a comment as a cell of a table."""
    return re.sub(r"\s*\n\s*", " ", _text(comment).replace("\n\n", "<br><br>")).replace("|", r"\|")
