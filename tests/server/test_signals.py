"""Signals of a separate process, because they would end this one."""

import signal
import subprocess
import sys

import pytest

from sample.server_process import REPOSITORY

PROGRAM = """
import os, signal, sys
from server.signals import Signals
signals = Signals()
signals.hold()
def send(*names):
    for name in names:
        os.kill(os.getpid(), getattr(signal, name))
def deliver():
    signals.deliver(stop=lambda: print("stop"), reload=lambda: print("reload"))
{}
print("end")
"""


def run(code: str) -> tuple[int, list[str]]:
    """Returns the exit code of a program and the lines it printed."""
    command = [sys.executable, "-c", PROGRAM.format(code)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("send('SIGTERM'); deliver()", ["stop"]),
        ("send('SIGINT', 'SIGHUP', 'SIGHUP'); deliver()", ["stop", "reload"]),
        ("deliver(); send('SIGHUP', 'SIGTERM', 'SIGHUP')", ["reload", "stop", "reload"]),
        ("deliver(); signals.ignore(); send('SIGHUP', 'SIGTERM', 'SIGINT')", []),
        ("send('SIGTERM'); signals.ignore(); send('SIGTERM')", []),
        ("signals.hold(); send('SIGHUP'); signals.hold(); deliver()", ["reload"]),
    ],
)
def test_a_signal_is_delivered_whenever_it_arrives(code: str, printed: list[str]) -> None:
    assert run(code) == (0, [*printed, "end"])


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_at_any_time(second: signal.Signals) -> None:
    assert run(f"send('SIGTERM', '{second.name}')") == (128 + second, [])
    assert run(f"send('SIGINT'); deliver(); sys.stdout.flush(); send('{second.name}')") == (128 + second, ["stop"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("code", ["send('{}'); signals.release()", "signals.release(); send('{}')"])
def test_a_program_that_is_no_server_ends_at_a_signal(number: signal.Signals, code: str) -> None:
    assert run(code.format(number.name)) == (-number, [])
