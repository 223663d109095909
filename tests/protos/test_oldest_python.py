"""The versions of Python that the client supports. `make lint` checks its code against the oldest one."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sample.server_process import REPOSITORY, running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
OLDEST = PROJECT["project"]["requires-python"].removeprefix(">=")


def oldest_interpreter() -> str | None:
    """Returns an interpreter of the oldest version, from the PATH or from pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv").glob(f"versions/{OLDEST}.*/bin/python")
    for candidate in (shutil.which(f"python{OLDEST}"), *map(str, pyenv)):
        # pyenv puts a script of that name into the PATH even if it would not run.
        if candidate and subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def run(*command: str, cwd: Path = REPOSITORY) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_client_supports_every_python_that_grpcio_and_protobuf_support() -> None:
    required = [str(importlib.metadata.metadata(name)["Requires-Python"]) for name in ("grpcio", "protobuf")]
    newest = max(tuple(map(int, re.findall(r"\d+", version))) for version in required)
    assert ".".join(map(str, newest)) == OLDEST


def test_ruff_and_mypy_check_the_client_for_that_version() -> None:
    target = PROJECT["tool"]["ruff"]["per-file-target-version"]["protos/**"]
    assert target == "py" + OLDEST.replace(".", "")
    assert f"mypy --python-version {OLDEST} --package chaja" in (REPOSITORY / "Makefile").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_oldest_python_installs_the_wheel_and_uses_every_part_of_the_client(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    interpreter = oldest_interpreter()
    if interpreter is None:
        pytest.skip(f"Python {OLDEST} is not installed")  # In CI as well: Debian has one version of Python.
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path / "dist"), ".")
    run(interpreter, "-m", "venv", str(tmp_path / "environment"))
    python = str(tmp_path / "environment/bin/python")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    run(python, "-m", "pip", "install", "--quiet", "--constraint", str(REPOSITORY / "constraints.txt"), str(wheel))
    run(python, "-W", "error", str(REPOSITORY / "tools/wheel_check.py"), cwd=tmp_path)
    with running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--data", str(tmp_path / "data"))) as server:
        client = str(REPOSITORY / "tests/protos/old_python_client.py")
        printed = run(python, "-W", "error", client, server.address, cwd=tmp_path)
    version = importlib.metadata.version("chaja")
    assert printed.split() == [version, "3", "10", "4"]
