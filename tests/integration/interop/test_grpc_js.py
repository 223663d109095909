"""grpc-js, the client for Node, against the real server."""

from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from chaja.v1 import search_pb2
from sample.server_process import ServerProcess
from tests.node import NODE, run_node


@pytest.fixture(scope="module")
def answers(tiny_server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("interop")
    (folder / "descriptors").write_bytes(descriptor_set())
    found: dict[str, Any] = run_node(NODE / "client.mjs", folder, tiny_server.address, str(folder / "descriptors"))
    return found


def descriptor_set() -> bytes:
    """Returns the files of the protocol, health and reflection, each after its imports."""
    files: dict[str, FileDescriptor] = {}

    def add(file: FileDescriptor) -> None:
        for imported in file.dependencies:
            add(imported)
        files[file.name] = file

    for module in (search_pb2, health_pb2, reflection_pb2):
        add(module.DESCRIPTOR)
    found = FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(found.file.add())
    return found.SerializeToString()


@pytest.mark.parametrize("name", ["search", "compressed"])
def test_a_search_has_hits_and_the_revision(answers: dict[str, Any], name: str) -> None:
    assert len(answers[name]["hits"]) == 3
    assert answers[name]["model_revision"]


def test_a_stream_has_an_error_in_the_place_of_an_invalid_request(answers: dict[str, Any]) -> None:
    first, wrong, last = answers["stream"]
    assert len(first["response"]["hits"]) == len(last["response"]["hits"]) == 3
    assert wrong["error"]["code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_errors_have_code_message_and_details(answers: dict[str, Any]) -> None:
    invalid = answers["invalid"]
    assert (invalid["code"], invalid["status_details"]) == (grpc.StatusCode.INVALID_ARGUMENT.value[0], 1)
    assert invalid["details"].startswith("query: is empty")
    assert answers["late"]["code"] == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]


def test_health_is_serving_for_known_services_only(answers: dict[str, Any]) -> None:
    assert answers["health"]["status"] == answers["watched"]["status"] == "SERVING"
    assert answers["unknown_service"]["code"] == grpc.StatusCode.NOT_FOUND.value[0]


def test_reflection_lists_the_services(answers: dict[str, Any]) -> None:
    (answer,) = answers["reflection"]
    names = {service["name"] for service in answer["list_services_response"]["service"]}
    assert {"chaja.v1.SearchService", "grpc.health.v1.Health"} <= names
