"""Plans and command lines that several tests share."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.attack import Ending, attack
from loadtest.errors import ExitCode, ResultsError
from loadtest.plan import Call, Plan
from loadtest.requests.method import find_method
from loadtest.requests.queries import Query
from loadtest.results.file import Records, read_runs
from loadtest.target import Target
from sample.server_process import REPOSITORY

COMMAND = ("env", "--default-signal=HUP", sys.executable, "-m", "loadtest")  # If nohup runs the tests.
COMMAND_OPTIONS: dict[str, Any] = {"cwd": REPOSITORY, "stdout": subprocess.PIPE, "text": True}
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'protos'}"}

SUCCESSFUL = (ExitCode.OK, ExitCode.SATURATED)
"""Exit codes of a successful run without objectives: on a busy machine the generator may be saturated."""

QUERIES = tuple(Query(str(number), {"query": f"query {number}"}) for number in range(20))


def make_plan(address: str, *, method: str = "Search", **options: Any) -> Plan:
    """Returns a plan over twenty queries, without warm-up."""
    target = Target(address=address)
    call = Call(method=asyncio.run(find_method(method, target=target)))
    return Plan(**{"target": target, "calls": (call,), "queries": QUERIES, **options})


def run_attack(out: Path, plan: Plan) -> Records:
    """Runs a plan; returns its records, warm-up included."""
    assert attack(plan, out) == Ending()
    return records_of(out)


def records_of(path: Path) -> Records:
    """Returns all records of a results file."""
    return np.concatenate([block for _, blocks in read_runs([path]) for block in blocks])


def run_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of the load tester to its end."""
    options: dict[str, Any] = {**COMMAND_OPTIONS, "env": {**ENVIRONMENT, **environment}}
    return subprocess.run([*COMMAND, *arguments], stderr=subprocess.PIPE, timeout=90, check=False, **options)


@contextlib.contextmanager
def attacking(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Runs a command of the load tester while the context lasts."""
    with subprocess.Popen([*COMMAND, *arguments], env=ENVIRONMENT, **COMMAND_OPTIONS, **options) as process:
        yield process


def children_of(process: int) -> list[int]:
    """Returns the child processes of a process."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def wait_for_records(path: Path) -> None:
    """Waits until a results file has more than its header."""
    _wait_until(lambda: path.exists() and path.stat().st_size > 4000, "no records were written")


def wait_for_calls(path: Path, count: int) -> None:
    """Waits until the processes of a run report this many calls in flight."""
    _wait_until(lambda: _calls_in_flight(path) >= count, f"there were never {count} calls in flight")


def _calls_in_flight(path: Path) -> int:
    in_flight: dict[int, int] = {}
    with contextlib.suppress(ResultsError):  # It has no header yet.
        for run, blocks in read_runs([path]):
            for _ in blocks:
                pass
            in_flight = {report["process"]: report["in_flight"] for report in run.vitals}
    return sum(in_flight.values())


def _wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)
