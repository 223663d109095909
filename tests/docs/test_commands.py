"""Runs every block of commands and of Python in the documents that is not marked as not run.

The blocks of a document run in their order, in one folder: JSON blocks become the files that the text names, commands
find `build/bundle` and `sample`, and Python finds a server at `localhost:50051`.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import chaja
from sample.server_process import REPOSITORY, ServerProcess, running_server
from tests.docs.documents import Block, blocks_of, documents

DOCUMENTS = [
    path
    for path in documents()
    if any(each.language in ("sh", "python") and not each.marked for each in blocks_of(path))
]
ADDRESS = "localhost:50051"
FREE = ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]


@pytest.fixture
def folder(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "build").mkdir()
    (tmp_path / "build/bundle").symlink_to(tiny_bundle)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "sample").symlink_to(REPOSITORY / "sample")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_blocks_of_a_document_run(document: Path, folder: Path, writable_server: ServerProcess) -> None:
    namespace: dict[str, Any] = {}
    expected = re.findall(r"`(serving \d+ documents, \d+ vectors)`", document.read_text(encoding="utf-8"))
    for block in blocks_of(document):
        if block.language == "json":
            write_json(block, folder)
        elif block.marked:
            continue
        elif block.language == "python":
            code = block.text.replace(ADDRESS, writable_server.address)
            exec(compile(code, f"{document.name}:{block.line}", "exec"), namespace)  # noqa: S102  our own documents
        elif block.language == "sh":
            run_commands(block, folder, expected)
    if isinstance(client := namespace.get("client"), chaja.Client):
        client.close()


def write_json(block: Block, folder: Path) -> None:
    """Writes a list to services.json, documents to services.jsonl; anything else only has to be JSON."""
    if block.text.startswith("["):
        json.loads(block.text)
        (folder / "services.json").write_text(block.text, encoding="utf-8")
    elif block.text.startswith('{"'):
        objects = [json.loads(line) for line in block.text.splitlines()]
        if all("id" in each for each in objects):
            (folder / "services.jsonl").write_text(block.text, encoding="utf-8")
    else:
        json.loads(block.text)


def run_commands(block: Block, folder: Path, expected: list[str]) -> None:
    """Runs commands; a server has to log the lines that its document expects."""
    words = shlex.split(block.text, comments=True)
    if words[1:4] == ["-m", "server", "--bundle"]:
        check_server(words[3:], folder, expected)
        return
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is missing")
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'protos'}"}
    command = ["bash", "-e", "-o", "pipefail", "-c", block.text]
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr


def check_server(flags: list[str], folder: Path, expected: list[str]) -> None:
    """Runs a server until it serves; paths are relative to the folder."""
    flags = [flag if flag.startswith("--") else str(folder / flag) for flag in flags]
    with running_server([*flags, *FREE]) as server:
        assert [line for line in expected if not any(line in logged for logged in server.lines)] == []
