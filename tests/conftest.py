"""Fixtures that several test packages share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sample.server_process import REPOSITORY, ServerProcess, running_server
from tests.tiny_bundle import make_bundle

SAMPLE_CATALOGUE = REPOSITORY / "sample/catalogue.jsonl"
SAMPLE_QUERIES = REPOSITORY / "sample/queries.jsonl"


PATIENT = ("--longest-wait-seconds", "60")
"""Of a server that refuses nobody, however slow the machine is: for tests of something else."""


def server_flags(bundle: Path, catalogue: Path, *more: str) -> list[str]:
    """Returns the flags of a server on ports that the system chooses."""
    free = "127.0.0.1:0"
    return ["--bundle", str(bundle), "--catalogue", str(catalogue), "--listen", free, "--metrics", free, *more]


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random bundle."""
    return make_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="session")
def tiny_server(tiny_bundle: Path) -> Iterator[ServerProcess]:
    """A server of the small bundle and the sample catalogue, in a process of its own."""
    with running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE, *PATIENT)) as server:
        yield server


@pytest.fixture(scope="session")
def default_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model's bundle, exported by the command line."""
    out = tmp_path_factory.mktemp("default") / "bundle"
    command = [sys.executable, "-m", "export", "--out", str(out)]
    exported = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=180, check=False)
    assert exported.returncode == 0, exported.stderr
    return out


@pytest.fixture(scope="session")
def default_server(default_bundle: Path) -> Iterator[ServerProcess]:
    """A server of the default model and the sample catalogue, in a process of its own."""
    with running_server(server_flags(default_bundle, SAMPLE_CATALOGUE, *PATIENT)) as server:
        yield server
