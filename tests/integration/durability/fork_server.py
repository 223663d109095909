"""Starts many servers quickly: `python -m tests.integration.durability.fork_server`.

It has imported everything that a server needs and forks a server within milliseconds. It has no threads and uses no
gRPC, so that forking is safe. A line of JSON on its standard input starts a server or waits for the end of one, and a
line on its standard output answers.
"""

import gc
import importlib
import json
import os
import resource
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from typing import Any

import msgspec

import server.app
from server.__main__ import main
from server.catalogue import database

MODULE = "tests.integration.durability.fork_server"


class Start(msgspec.Struct, kw_only=True):
    """The options of a server to start.

    Attributes:
        arguments: Its flags.
        log: File for what it writes to its standard error.
        constants: Values that replace constants of its modules, by module and name.
        file_bytes: Maximum length of a file, as on a full disk; 0 for no limit.
        killed_at_file: Number of the file access in `killed_in` at which it kills itself; 0 for never.
        killed_at_statement: Number of the SQL statement before which it kills itself; 0 for never.
        killed_in: Accesses count if their path contains this.
    """

    arguments: list[str]
    log: str
    constants: dict[str, float] = {}
    file_bytes: int = 0
    killed_at_file: int = 0
    killed_at_statement: int = 0
    killed_in: str = ""


class Wait(msgspec.Struct):
    """Asks for the end of a server."""

    pid: int


def _run(start: Start) -> int:
    """Runs the server in the forked process; returns its exit code."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(start.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for handle, number in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(handle, number)
    for path, value in start.constants.items():
        module, _, name = path.rpartition(".")
        setattr(importlib.import_module(module), name, value)
    if start.file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (start.file_bytes, resource.RLIM_INFINITY))
    if start.killed_at_file:
        _kill_at_file(start.killed_at_file, start.killed_in)
    if start.killed_at_statement:
        _kill_at_statement(start.killed_at_statement)
    sys.argv = ["server", *start.arguments]
    return main()


def _counted(number: int) -> Callable[[], None]:
    """Returns a function that kills the process when it is called for the `number`-th time."""
    count = 0

    def count_one() -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return count_one


def _kill_at_file(number: int, part: str) -> None:
    count_one = _counted(number)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(("open", "os.", "shutil.")) and arguments and part in str(arguments[0]):
            count_one()

    sys.addaudithook(hook)


def _kill_at_statement(number: int) -> None:
    count_one = _counted(number)
    connect = sqlite3.connect

    def counting(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(lambda _: count_one())
        return connection

    database.sqlite3.connect = counting  # type: ignore[attr-defined]


def _answer(line: str) -> int:
    request = msgspec.json.decode(line, type=dict)
    if "pid" in request:
        _, status = os.waitpid(request["pid"], 0)
        return os.waitstatus_to_exitcode(status)
    start = msgspec.convert(request, Start)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = _run(start)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return pid


if __name__ == "__main__":
    assert server.app
    gc.collect()
    gc.freeze()  # So that garbage collections of the servers skip the imported modules.
    print("ready", flush=True)
    for request_line in sys.stdin:
        print(json.dumps(_answer(request_line)), flush=True)
