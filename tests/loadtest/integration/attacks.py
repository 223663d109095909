"""Plans and command lines that several tests share."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.attack import Ending, attack
from loadtest.errors import ExitCode
from loadtest.plan import Call, Plan
from loadtest.requests.method import find_method
from loadtest.requests.queries import Query
from loadtest.results.file import Records, read_runs
from loadtest.target import Target
from sample.server_process import REPOSITORY

NOT_OF_TIME = (ExitCode.OK, ExitCode.SATURATED)
"""A good end of a run without an objective: on a busy machine the generator reports that it was the limit."""

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


def command(*arguments: str) -> list[str]:
    """Returns a command line of the load tester."""
    return [sys.executable, "-m", "loadtest", *arguments]


def run_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command line of the load tester to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY / 'protos'}", **environment},
    )


@contextlib.contextmanager
def attacking(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Runs a command line of the load tester meanwhile."""
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'protos'}"}
    pipes = {"stdout": subprocess.PIPE, "text": True, "env": environment, "cwd": REPOSITORY}
    with subprocess.Popen(command(*arguments), **pipes, **options) as process:  # type: ignore[call-overload]
        yield process


def children_of(process: int) -> list[int]:
    """Returns the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def wait_for_records(path: Path) -> None:
    """Waits until a results file has more than its header."""
    deadline = time.monotonic() + 20
    while not (path.exists() and path.stat().st_size > 4000):
        assert time.monotonic() < deadline, "no records came"
        time.sleep(0.05)
