"""Installs the wheel of the load tester into an empty environment, and loads a server with it.

`make loadtest-wheel-check` runs it. The commands run in an empty folder, so that nothing comes from the checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import chaja
from loadtest.errors import ExitCode
from sample.server_process import REPOSITORY, running_server
from tools.server_wheel_check import Failed, check_names, install, run

MAX_MEGABYTES = 300
SUCCESSFUL = (ExitCode.OK, ExitCode.SATURATED)
"""Server and generator share the machine, so the generator may be saturated."""


def main() -> None:
    """Runs the checks; exits with 1 and the reason if one fails."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.loadtest_wheel_check", description="Check the load tester's wheel."
    )
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the environment")
    parser.add_argument("--wheel", type=Path, required=True, help="the wheel")
    parser.add_argument("--bundle", type=Path, required=True, help="a bundle to serve")
    options = parser.parse_args()
    os.environ.pop("PYTHONPATH", None)  # The environment must hold only the wheel.
    try:
        with tempfile.TemporaryDirectory() as folder:
            environment = Path(folder) / "environment"
            install(options.python, environment, options.wheel, max_megabytes=MAX_MEGABYTES)
            check_names(environment)
            check_load(environment / "bin/chaja-loadtest", options.bundle.resolve(), Path(folder))
    except Failed as error:
        sys.exit(f"error: {error}")


def check_load(program: Path, bundle: Path, folder: Path) -> None:
    """Sends searches to a server, and makes reports of the results, in a folder without the checkout."""
    version = f"chaja {chaja.__version__}"
    if (shown := run(str(program), "--version").strip()) != version:
        raise Failed(f"{program} printed {shown!r} instead of {version!r}")
    queries = folder / "queries.txt"
    queries.write_text("card lost\nopen an account\n", encoding="utf-8")
    flags = ["--bundle", str(bundle), "--catalogue", str(REPOSITORY / "sample/catalogue.jsonl")]
    with running_server([*flags, "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]) as server:
        load = ["--queries", "queries.txt", "--unique", "--rate", "20", "--duration", "3s"]
        loadtest(program, folder, "attack", server.address, *load)
    report = json.loads(loadtest(program, folder, "report", "results.bin", "--format", "json"))
    if not report["requests"]["ok"]:
        raise Failed(f"chaja-loadtest counted {report['requests']}")
    if "<html" not in loadtest(program, folder, "report", "results.bin", "--format", "html"):
        raise Failed("chaja-loadtest made no page")
    print(f"chaja-loadtest sent {report['requests']['ok']} searches that the server answered")


def loadtest(program: Path, folder: Path, *arguments: str) -> str:
    """Runs a command of the load tester in a folder; returns its output."""
    ended = subprocess.run([str(program), *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode not in SUCCESSFUL:
        raise Failed(f"chaja-loadtest {arguments[0]} ended with {ended.returncode}: {ended.stderr.strip()}")
    return ended.stdout


if __name__ == "__main__":
    main()
