"""An empty environment with a wheel, to check what the wheel installs.

The installation prints its size and time with their bounds. The time is that of the wall clock; the bound holds for the
CPU time, because a slow package index or a busy machine is no fault of the wheel.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import chaja
from sample.server_process import REPOSITORY

MAX_SECONDS = 30

LOOK = """
import importlib.util, json
names = ("server", "export", "chaja", "torch", "transformers", "onnx", "loadtest", "sample", "tools", "deploy", "tests")
print(json.dumps([name for name in names if importlib.util.find_spec(name) is not None]))
"""


class Failed(Exception):
    """A check failed."""


def check_wheel(program: str, check: Callable[[Path, Path, Path], None], *, max_megabytes: int) -> None:
    """Installs the wheel that the flags name, and checks it; exits with 1 and the reason if a check fails.

    Args:
        program: The program's name, for `--help`.
        check: Checks the environment, given with a bundle and an empty folder; raises Failed.
        max_megabytes: Limit of the size of the installed packages.
    """
    parser = argparse.ArgumentParser(prog=program, description="Check a wheel in an empty environment.")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the environment")
    parser.add_argument("--wheel", type=Path, required=True, help="the wheel")
    parser.add_argument("--bundle", type=Path, required=True, help="a bundle to serve")
    options = parser.parse_args()
    os.environ.pop("PYTHONPATH", None)  # The environment must hold only the wheel.
    try:
        with tempfile.TemporaryDirectory() as folder:
            environment = Path(folder) / "environment"
            install(options.python, environment, options.wheel, max_megabytes=max_megabytes)
            check_names(environment)
            check(environment, options.bundle.resolve(), Path(folder))
    except Failed as error:
        sys.exit(f"error: {error}")


def install(python: str, environment: Path, wheel: Path, *, max_megabytes: int) -> None:
    """Creates the environment, and installs only the wheel and what it depends on; checks size and time."""
    run(python, "-m", "venv", str(environment))
    empty = installed_bytes(environment)
    started, used = time.monotonic(), children_cpu_seconds()
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    run(*pip, "--constraint", str(REPOSITORY / "constraints.txt"), str(wheel))
    seconds, cpu_seconds = time.monotonic() - started, children_cpu_seconds() - used
    megabytes = (installed_bytes(environment) - empty) / 1e6
    print(f"installed {megabytes:.0f} MB of packages (at most {max_megabytes})")
    print(f"in {seconds:.1f} s, {cpu_seconds:.1f} s of them CPU time (at most {MAX_SECONDS})")
    if megabytes > max_megabytes or cpu_seconds > MAX_SECONDS:
        raise Failed("the installation is too large, or takes too long")


def check_names(environment: Path) -> None:
    """Checks that no package has a name that another project may have, and that there is no torch."""
    found = json.loads(run(str(environment / "bin/python"), "-I", "-c", LOOK))
    if found:
        raise Failed(f"the wheel installed {', '.join(found)}")


def check_version(*command: str) -> None:
    """Checks that a command prints the version of this checkout."""
    if (shown := run(*command, "--version").strip()) != f"chaja {chaja.__version__}":
        raise Failed(f"{' '.join(command)} printed {shown!r} instead of the version {chaja.__version__}")


def installed_bytes(environment: Path) -> int:
    """Returns the size of the installed packages on the disk."""
    (packages,) = environment.glob("lib/python*/site-packages")
    return sum(path.lstat().st_blocks * 512 for path in packages.rglob("*"))


def children_cpu_seconds() -> float:
    """Returns the CPU time of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(*command: str) -> str:
    """Runs a command that must succeed; returns its output."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise Failed(f"{' '.join(command)} failed: {ended.stderr.strip()}")
    return ended.stdout
