"""The examples for other languages: Node's runs against a server, Go's is compiled where its toolchain is installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import chaja
from chaja.v1 import GetDocumentRequest
from sample.server_process import REPOSITORY, ServerProcess
from tests.node import PROTOS, run_node

GO_TOOLS = ("go", "protoc-gen-go", "protoc-gen-go-grpc")


def test_the_example_of_node_writes_and_searches(writable_server: ServerProcess, tmp_path: Path) -> None:
    answer = run_node(REPOSITORY / "examples/node/search.mjs", tmp_path, writable_server.address)
    assert answer["found"]
    assert {hit["attributes"]["category"] for hit in answer["found"]} == {"card"}
    with chaja.connect(writable_server.address) as client:
        document = client.catalog.GetDocument(GetDocumentRequest(id="example-node")).document
    assert dict(document.attributes) == {"category": "card", "minimum_age": 14}


def test_protobufjs_drops_attributes_in_all_forms_but_one(tmp_path: Path) -> None:
    for forms in run_node(REPOSITORY / "tests/docs/attributes.mjs", tmp_path, str(PROTOS)):
        plain, snake_case, camel_case = forms
        assert "category" not in plain.get("fields", {})
        assert "kind" not in snake_case["fields"]["category"]
        assert camel_case["fields"]["category"]["stringValue"] == "card"


def test_the_example_of_go_compiles(tmp_path: Path) -> None:
    if missing := [tool for tool in GO_TOOLS if shutil.which(tool) is None]:
        pytest.skip(f"{', '.join(missing)}: not installed")
    shutil.copy(REPOSITORY / "examples/go/main.go", tmp_path)
    (tmp_path / "gen").mkdir()
    outputs = [f"--go_out={tmp_path / 'gen'}", f"--go-grpc_out={tmp_path / 'gen'}"]
    files = [str(path) for path in sorted((PROTOS / "chaja/v1").glob("*.proto"))]
    commands = [
        [sys.executable, "-m", "grpc_tools.protoc", "-I", str(PROTOS), *outputs, *files],
        ["go", "mod", "init", "chaja-example"],
        ["go", "mod", "tidy"],
        ["go", "vet", "."],
    ]
    for command in commands:
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
        assert run.returncode == 0, run.stderr
