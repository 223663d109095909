from collections.abc import Iterator

import pytest
from google.protobuf import descriptor_pb2

import chaja
import chaja.v1
from tools.proto_reference import compile_protos

File = descriptor_pb2.FileDescriptorProto
Field = descriptor_pb2.FieldDescriptorProto
UNSIGNED = {Field.TYPE_UINT32, Field.TYPE_UINT64, Field.TYPE_FIXED32, Field.TYPE_FIXED64}


@pytest.fixture(scope="module")
def files() -> list[File]:
    return compile_protos()


def elements(file: File) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yields every element that may have a comment, with its path in the descriptor (descriptor.proto)."""
    for m, message in enumerate(file.message_type):
        yield (4, m), message.name
        for f, field in enumerate(message.field):
            yield (4, m, 2, f), f"{message.name}.{field.name}"
    for e, enum in enumerate(file.enum_type):
        yield (5, e), enum.name
        for v, value in enumerate(enum.value):
            yield (5, e, 2, v), f"{enum.name}.{value.name}"
    for s, service in enumerate(file.service):
        yield (6, s), service.name
        for r, method in enumerate(service.method):
            yield (6, s, 2, r), f"{service.name}.{method.name}"


def test_every_element_has_a_comment(files: list[File]) -> None:
    for file in files:
        commented = {tuple(at.path): at.leading_comments for at in file.source_code_info.location}
        for path, name in elements(file):
            assert commented.get(path, "").strip().endswith((".", "`")), f"{file.name}: {name}"


def test_there_are_no_unsigned_numbers(files: list[File]) -> None:
    for file in files:
        for message in file.message_type:
            for field in message.field:
                assert field.type not in UNSIGNED, f"{message.name}.{field.name}"


def test_enums_start_with_unspecified(files: list[File]) -> None:
    for file in files:
        for enum in file.enum_type:
            assert enum.value[0].name.endswith("_UNSPECIFIED")
            assert enum.value[0].number == 0


def test_the_package_exports_the_whole_protocol(files: list[File]) -> None:
    names = set()
    for file in files:
        names |= {message.name for message in file.message_type} | {enum.name for enum in file.enum_type}
        for service in file.service:
            names |= {f"{service.name}Stub", f"{service.name}Servicer", f"add_{service.name}Servicer_to_server"}
    assert set(chaja.v1.__all__) == names
    assert chaja.v1.__all__ == sorted(chaja.v1.__all__)
    for name in chaja.__all__:
        assert hasattr(chaja, name)
