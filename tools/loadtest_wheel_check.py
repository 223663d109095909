"""Installs the wheel of the load tester into an empty environment, and loads a server with it.

`make loadtest-wheel-check` runs it. The commands run in an empty folder, so that nothing comes from the checkout.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from loadtest.errors import ExitCode
from sample.server_process import REPOSITORY, running_server
from tools.wheel_environment import Failed, check_version, check_wheel

MAX_MEGABYTES = 300
SUCCESSFUL = (ExitCode.OK, ExitCode.SATURATED)
"""Server and generator share the machine, so the generator may be saturated."""


def main() -> None:
    """Runs the checks; exits with 1 and the reason if one fails."""
    check_wheel("python -m tools.loadtest_wheel_check", check_load, max_megabytes=MAX_MEGABYTES)


def check_load(environment: Path, bundle: Path, folder: Path) -> None:
    """Sends searches to a server, and makes reports of the results, in a folder without the checkout."""
    program = environment / "bin/chaja-loadtest"
    check_version(str(program))
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
