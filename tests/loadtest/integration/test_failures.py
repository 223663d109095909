"""What goes wrong in mid-run ends the run, as partial, and with an exit code that tells."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from loadtest.errors import ExitCode
from sample.server_process import REPOSITORY
from tests.loadtest.integration.attacks import command, records_of, run_command
from tests.loadtest.pretend_server import pretend_server


@pytest.mark.parametrize("load", [["--rate", "20"], ["--in-flight", "2"]], ids=["open", "closed"])
def test_a_payload_that_cannot_be_made_in_mid_run_ends_it(tmp_path: Path, load: list[str]) -> None:
    proto = tmp_path / "blob.proto"
    proto.write_text('syntax = "proto3"; package b; service S { rpc M(R) returns (R); } message R { bytes data = 1; }')
    out = tmp_path / "results.bin"
    with pretend_server(delay=0.01) as address:
        run = run_command(  # From request 10 on, the base64 has a length that none has.
            "attack", address, "--proto", str(proto), "--call", "M", "--data", '{"data": "AAA{{number}}"}', *load,
            "--duration", "3s", "--warm-up", "0s", "--out", str(out),
        )  # fmt: skip
    assert run.returncode == ExitCode.FAILED, run.stdout + run.stderr
    assert "PARTIAL: the payload does not fit b.R" in run.stdout
    assert 5 < len(records_of(out)) < 15


def test_a_worker_that_stands_still_does_not_hang_the_attack(tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--rate", "50", "--duration", "1s", "--deadline", "1s", "--warm-up", "0s", "--call", "GetServerInfo"]
    started = time.monotonic()
    with pretend_server() as address, subprocess.Popen(
        command("attack", address, *flags, "--out", str(out)), cwd=REPOSITORY, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "protos")},
    ) as process:  # fmt: skip
        while not out.exists():
            time.sleep(0.02)
        [worker] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(worker), signal.SIGSTOP)
        stdout, _ = process.communicate(timeout=60)
    assert process.returncode == ExitCode.FAILED
    assert "PARTIAL: 1 generator processes did not stop by themselves" in stdout
    assert time.monotonic() - started < 40
    assert not Path(f"/proc/{worker}").exists()


def test_a_second_interrupt_does_not_wait(tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--rate", "20", "--duration", "60s", "--deadline", "60s", "--warm-up", "0s", "--call", "GetServerInfo"]
    with pretend_server(delay=30) as address, subprocess.Popen(
        command("attack", address, *flags, "--out", str(out)), cwd=REPOSITORY, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "protos")},
    ) as process:  # fmt: skip
        while not out.exists():
            time.sleep(0.02)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        stdout, _ = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "PARTIAL: interrupted after" in stdout
    assert time.monotonic() - started < 5
