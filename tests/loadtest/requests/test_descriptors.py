from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from hypothesis import given, settings
from hypothesis import strategies as st

import chaja.v1
from loadtest.errors import UsageError
from loadtest.requests.descriptors import chaja_descriptors, pool_of, proto_descriptors, protoset_descriptors


def services_of(descriptors: FileDescriptorSet) -> set[str]:
    return {f"{file.package}.{service.name}" for file in descriptors.file for service in file.service}


def test_every_service_of_chaja_comes_with_its_imports() -> None:
    descriptors = chaja_descriptors()
    protos = {path.name for path in Path(chaja.v1.__path__[0]).glob("*.proto")}
    names = [file.name for file in descriptors.file]
    assert len(names) == len(set(names))
    assert {f"chaja/v1/{name}" for name in protos} <= set(names)
    assert {"chaja.v1.SearchService", "chaja.v1.EncodeService", "chaja.v1.InfoService"} <= services_of(descriptors)
    for number, file in enumerate(descriptors.file):
        assert set(file.dependency) <= set(names[:number])


@settings(max_examples=20, deadline=None)
@given(st.permutations(list(chaja_descriptors().file)))
def test_a_pool_takes_files_in_any_order(files: list[object]) -> None:
    pool = pool_of(FileDescriptorSet(file=files))  # type: ignore[arg-type]
    assert pool.FindMessageTypeByName("chaja.v1.SearchResponse").fields_by_name["timings"].message_type is not None


def test_imports_are_found_in_the_import_paths(protos: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.proto"
    alone.write_text('syntax = "proto3"; import "item.proto"; message M { shop.common.Item item = 1; }', "utf-8")
    with pytest.raises(UsageError, match=r"item\.proto: File not found"):
        proto_descriptors(alone)
    descriptors = proto_descriptors(alone, import_paths=[protos / "common"])
    assert [file.name for file in descriptors.file] == ["item.proto", "alone.proto"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('syntax = "proto3"; message {', "Expected message name"),
        ('syntax = "proto3";\nmessage M { Unknown x = 1; }', r'broken\.proto:2:13: "Unknown" is not defined'),
        ('import "nowhere.proto";', r"nowhere\.proto: File not found"),
    ],
)
def test_a_broken_proto_file_is_rejected_with_one_line_from_protoc(tmp_path: Path, text: str, message: str) -> None:
    broken = tmp_path / "broken.proto"
    broken.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as error:
        proto_descriptors(broken)
    assert str(error.value).startswith(f"{broken} is not a valid .proto file: ")
    assert "\n" not in str(error.value)


def test_a_file_with_many_errors_is_refused_with_the_first(tmp_path: Path) -> None:
    broken = tmp_path / "broken.proto"
    broken.write_text("".join(f"word{number};\n" for number in range(50)))
    with pytest.raises(UsageError) as error:
        proto_descriptors(broken)
    assert "broken.proto:1:1: Expected top-level statement" in str(error.value)
    assert str(error.value).endswith("more errors)")
    assert "absl" not in str(error.value)
    assert len(str(error.value)) < 3 * len(str(broken)) + 500


def test_a_protoset_in_place_of_a_proto_file_is_recognized(tmp_path: Path) -> None:
    compiled = tmp_path / "shop.binpb"
    compiled.write_bytes(chaja_descriptors().SerializeToString())
    with pytest.raises(UsageError, match="but a protoset: give it with --protoset"):
        proto_descriptors(compiled)


def test_a_missing_proto_file_is_rejected(tmp_path: Path) -> None:
    for missing in (tmp_path / "missing.proto", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            proto_descriptors(missing)


def test_a_protoset_holds_what_protoc_compiled(protos: Path, tmp_path: Path) -> None:
    whole = proto_descriptors(protos / "shop.proto")
    file = tmp_path / "shop.protoset"
    file.write_bytes(whole.SerializeToString())
    assert protoset_descriptors(file) == whole
    without = [each for each in whole.file if not each.name.startswith("google/")]
    file.write_bytes(FileDescriptorSet(file=without).SerializeToString())
    found = pool_of(protoset_descriptors(file)).FindMessageTypeByName("shop.v1.FindRequest")
    assert found.fields_by_name["patience"].message_type is not None


def test_a_protoset_without_its_imports_is_rejected(protos: Path, tmp_path: Path) -> None:
    file = tmp_path / "shop.protoset"
    file.write_bytes(FileDescriptorSet(file=proto_descriptors(protos / "shop.proto").file[-1:]).SerializeToString())
    with pytest.raises(
        UsageError, match=r"it lacks common/item\.proto, which shop\.proto imports: add --include_imports"
    ):
        protoset_descriptors(file)


@pytest.mark.parametrize("content", [b"", b"\xff\xff", b"syntax"])
def test_a_file_that_is_no_protoset_is_rejected(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "shop.protoset"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"is not a protoset: write it with protoc --include_imports"):
        protoset_descriptors(file)
    with pytest.raises(UsageError, match="cannot be read"):
        protoset_descriptors(tmp_path / "none")
