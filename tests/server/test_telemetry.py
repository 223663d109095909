"""Tests that no library reports anything to its maker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sample.server_process import REPOSITORY

SUPPRESSING = {"CI", "ORT_RUNNING_UNIT_TESTS", "ORT_DISABLE_TELEMETRY"}
"""Variables of which each makes ONNX Runtime silent."""


def files_after(statement: str, home: Path) -> list[Path]:
    """Returns the files that a process without those variables leaves in its home."""
    environment = {name: value for name, value in os.environ.items() if name not in SUPPRESSING}
    environment |= {"HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    environment.pop("XDG_CACHE_HOME", None)
    subprocess.run([sys.executable, "-c", statement], cwd=REPOSITORY, env=environment, timeout=120, check=True)
    return sorted(home.rglob("*"))


@pytest.mark.parametrize(
    "module",
    ["server.encoding.session", "server.vectors.graph", "export.padded.static", "benchmarks.retrieval.__main__"],
)
def test_onnx_runtime_prepares_no_reports(module: str, tmp_path: Path) -> None:
    assert not files_after(f"import {module}", tmp_path)


def test_onnx_runtime_alone_would_prepare_reports(tmp_path: Path) -> None:
    """If this fails, it has stopped doing so, or does it elsewhere: see the test above."""
    assert files_after("import onnxruntime", tmp_path)
