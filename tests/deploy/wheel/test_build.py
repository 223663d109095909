"""The wheel as its build backend makes it. make server-wheel-check installs the one for x86-64."""

import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import chaja
from sample.server_process import REPOSITORY

PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel that a machine builds whose architecture is not x86-64."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(REPOSITORY / "deploy/wheel")]
    environment = {**os.environ, "PIP_CONSTRAINT": str(REPOSITORY / "constraints.txt")}
    other = [str(shutil.which("setarch")), "i686"] if platform.machine() == "x86_64" else []
    subprocess.run([*other, *build], env=environment, check=True, capture_output=True, timeout=200)
    (path,) = out.iterdir()
    return zipfile.ZipFile(path)


def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def names(requirements: list[str]) -> set[str]:
    """Returns the names of requirements, in the form in which PyPI compares them (PEP 503)."""
    found = (re.split(r"[^\w.-]", requirement)[0] for requirement in requirements)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found}


@pytest.mark.slow
def test_another_architecture_builds_a_wheel_for_all_without_the_native_encoder(wheel: zipfile.ZipFile) -> None:
    assert Path(str(wheel.filename)).name.endswith("-py3-none-any.whl")
    assert not [name for name in wheel.namelist() if name.endswith(".so")]


@pytest.mark.slow
def test_the_wheel_requires_what_the_checkout_requires(wheel: zipfile.ZipFile) -> None:
    required = metadata(wheel).get_all("Requires-Dist") or []
    groups = PYPROJECT["dependency-groups"]
    always = [entry for entry in required if "extra ==" not in entry]
    assert names(always) == names([*PYPROJECT["project"]["dependencies"], *groups["server"]])
    for extra in ("export", "tune", "otel", "postgresql"):
        entries = [entry for entry in required if f"extra == '{extra}'" in entry]
        assert names(entries) == names([entry for entry in groups[extra] if isinstance(entry, str)])


@pytest.mark.slow
def test_the_wheel_has_the_version_of_the_client_and_its_licence(wheel: zipfile.ZipFile) -> None:
    assert metadata(wheel)["Version"] == chaja.__version__
    assert any(name.endswith("/licenses/LICENSE") for name in wheel.namelist())
