"""Installs the wheel of the server into an empty environment, and checks it: `make server-wheel-check`.

It prints size and time of the installation with their bounds. The time is that of the wall clock; the bound holds for
the CPU time, because a slow package index or a busy machine is no fault of the wheel.
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
import urllib.request
from pathlib import Path

import chaja
from chaja.v1 import SearchRequest
from sample.server_process import REPOSITORY, running_server
from server.encoding.native.library import cpu_can_run

MAX_MEGABYTES = 350
MAX_SECONDS = 30
DOCUMENTS = 50

LOOK = """
import importlib.util, json
names = ("server", "export", "chaja", "torch", "transformers", "onnx", "loadtest", "sample", "tools", "deploy", "tests")
print(json.dumps([name for name in names if importlib.util.find_spec(name) is not None]))
"""


class Failed(Exception):
    """A check failed."""


def main() -> None:
    """Runs the checks; exits with 1 and the reason if one fails."""
    parser = argparse.ArgumentParser(prog="python -m tools.server_wheel_check", description="Check the server's wheel.")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the environment")
    parser.add_argument("--wheel", type=Path, required=True, help="the wheel")
    parser.add_argument("--bundle", type=Path, required=True, help="a bundle to serve")
    options = parser.parse_args()
    os.environ.pop("PYTHONPATH", None)  # The environment must hold only the wheel.
    try:
        with tempfile.TemporaryDirectory() as folder:
            environment = Path(folder) / "environment"
            install(options.python, environment, options.wheel)
            check_names(environment)
            check_commands(environment)
            check_serving(environment, options.bundle.resolve(), Path(folder))
    except Failed as error:
        sys.exit(f"error: {error}")


def install(python: str, environment: Path, wheel: Path, *, max_megabytes: int = MAX_MEGABYTES) -> None:
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


def check_commands(environment: Path) -> None:
    """Checks the commands that the wheel installs."""
    version = f"chaja {chaja.__version__}"
    for command in ([str(environment / "bin/chaja-server")], [str(environment / "bin/python"), "-m", "chaja_server"]):
        if (shown := run(*command, "--version").strip()) != version:
            raise Failed(f"{command} printed {shown!r} instead of {version!r}")
    exporter = subprocess.run([str(environment / "bin/chaja-export")], capture_output=True, text=True, check=False)
    lines = exporter.stderr.splitlines()
    if exporter.returncode != 1 or len(lines) != 1 or "pip install 'chaja-server[export]'" not in lines[0]:
        raise Failed(f"chaja-export without its extra printed {exporter.stderr!r}")


def check_serving(environment: Path, bundle: Path, folder: Path) -> None:
    """Serves a few documents, searches them, and checks which encoder runs."""
    catalogue = folder / "catalogue.jsonl"
    lines = (REPOSITORY / "sample/catalogue.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    catalogue.write_text("".join(lines[:DOCUMENTS]), encoding="utf-8")
    flags = ["--bundle", str(bundle), "--catalogue", str(catalogue), "--data", str(folder / "data")]
    flags += ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
    document = json.loads(lines[0])
    with running_server(flags, program=[str(environment / "bin/chaja-server")]) as server:
        with chaja.connect(server.address) as client:
            hits = client.search.Search(SearchRequest(query=next(iter(document["title"].values())))).hits
        with urllib.request.urlopen(server.metrics_url) as metrics:  # noqa: S310  the URL is the server's
            text = metrics.read().decode()
    encoder = "native" if cpu_can_run() else "onnxruntime"
    if f'encoder="{encoder}"' not in text:
        raise Failed(f"the server does not use the encoder {encoder}")
    if not hits or hits[0].document_id != document["id"]:
        raise Failed(f"a search for the title of {document['id']} found {[hit.document_id for hit in hits]}")
    print(f"chaja-server answered a search with the encoder {encoder}")


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


if __name__ == "__main__":
    main()
