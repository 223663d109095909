import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.replicas.replica import Replica
from sample.server_process import REPOSITORY
from tests.postgresql import programs

pytestmark = pytest.mark.slow


def test_a_server_that_cannot_start_is_reported(tmp_path: Path) -> None:
    arguments = ["--bundle", str(tmp_path / "none"), "--catalogue", str(tmp_path / "none.jsonl")]
    with pytest.raises(RuntimeError, match=r"did not start: .*error: "):
        Replica(arguments, tmp_path / "log")


def test_the_program_prints_the_visibility(tmp_path: Path, tiny_bundle: Path) -> None:
    programs()
    file = tmp_path / "figures.json"
    flags = ["--bundle", str(tiny_bundle), "--only", "visibility", "--seconds", "2", "--json", str(file)]
    command = [sys.executable, "-m", "benchmarks.replicas", *flags]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode in (0, 1), done.stderr
    figures = {each["name"]: each["median"] for each in json.loads(file.read_text())["figures"]}
    assert 0 < figures["visible on another server, p50"] <= figures["visible on another server, p99"]
    assert all(name in done.stdout for name in figures)
