"""A failure during a run ends it as partial, with an exit code that says so."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loadtest.analysis.summary import summarize
from loadtest.attack import STOP_SECONDS
from loadtest.codes import UNANSWERED
from loadtest.errors import ExitCode
from sample.server_process import REPOSITORY
from tests.loadtest.integration.attacks import (
    attacking,
    children_of,
    records_of,
    run_command,
    wait_for_calls,
    wait_for_records,
)
from tests.loadtest.pretend_server import pretend_server
from tests.loadtest.results_files import record, write_run

ENDLESS = ("--call", "GetServerInfo", "--duration", "60s", "--deadline", "60s", "--warm-up", "0s")


@pytest.mark.parametrize("load", [["--rate", "20"], ["--in-flight", "2"]], ids=["open", "closed"])
def test_a_payload_that_cannot_be_made_during_a_run_ends_it(tmp_path: Path, load: list[str]) -> None:
    proto = tmp_path / "blob.proto"
    proto.write_text('syntax = "proto3"; package b; service S { rpc M(R) returns (R); } message R { bytes data = 1; }')
    out = tmp_path / "results.bin"
    with pretend_server(delay=0.01) as address:
        run = run_command(  # From request 10 on, the base64 has an invalid length.
            "attack", address, "--proto", str(proto), "--call", "M", "--data", '{"data": "AAA{{number}}"}', *load,
            "--duration", "3s", "--warm-up", "0s", "--out", str(out),
        )  # fmt: skip
    assert run.returncode == ExitCode.FAILED, run.stdout + run.stderr
    assert "PARTIAL: the payload does not fit b.R" in run.stdout
    assert 5 < len(records_of(out)) < 15


def test_a_stopped_worker_does_not_hang_the_attack(tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--rate", "50", "--duration", "1s", "--deadline", "1s", "--warm-up", "0s", "--call", "GetServerInfo"]
    started = time.monotonic()
    with pretend_server(delay=0.9) as address, attacking("attack", address, *flags, "--out", str(out)) as process:
        wait_for_calls(out, 10)
        [worker] = children_of(process.pid)
        os.kill(worker, signal.SIGSTOP)
        stdout, _ = process.communicate(timeout=60)
    assert process.returncode == ExitCode.FAILED
    assert "PARTIAL: generator processes killed because they did not stop: 1" in stdout
    assert time.monotonic() - started < 40
    assert not Path(f"/proc/{worker}").exists()


def test_a_second_interrupt_does_not_wait_for_a_process_that_hangs(tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--rate", "20", *ENDLESS]
    with pretend_server(delay=30) as address, attacking("attack", address, *flags, "--out", str(out)) as process:
        wait_for_calls(out, 15)
        [worker] = children_of(process.pid)
        os.kill(worker, signal.SIGSTOP)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)  # Two signals at once may arrive as one.
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert time.monotonic() - started < STOP_SECONDS
    assert "PARTIAL: interrupted after" in stdout
    assert "generator processes killed because they did not stop: 1" in stdout
    assert summarize([out]).lost >= 15


def test_calls_in_flight_at_an_interrupt_are_unanswered_and_count_as_errors(tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--rate", "50", *ENDLESS]
    flags += ["--assert", "errors<1%", "--assert", "unanswered<1%"]
    with pretend_server(delay=30) as address, attacking("attack", address, *flags, "--out", str(out)) as process:
        wait_for_calls(out, 40)
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    summary = summarize([out])
    counts = {code: outcome.count for code, outcome in summary.total.outcomes.items()}
    assert counts == {"UNANSWERED": summary.planned}
    assert summary.planned >= 40
    assert summary.error_share == 1
    assert f"PARTIAL: interrupted after {summary.partial[0].split()[2]} s; {summary.planned} calls were un" in stdout
    for assertion in ("errors<1%", "unanswered<1%"):
        assert re.search(rf"{assertion} +NOT MET +100.000%", stdout), stdout
    assert not re.search(r"\bnan\b", stdout, re.IGNORECASE)
    assert "NOTHING WAS SENT" not in stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_an_interrupt_of_a_closed_loop_counts_its_calls_in_flight(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "results.bin"
    flags = ["--in-flight", "7", "--processes", "2", *ENDLESS, "--out", str(out)]
    with pretend_server(delay=30) as address, attacking("attack", address, *flags) as process:
        wait_for_calls(out, 7)
        process.send_signal(number)
        process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert unanswered_of(out) == len(records_of(out)) == 7


def test_an_interrupt_in_the_warm_up_says_that_only_the_warm_up_was_sent(tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--rate", "50", "--duration", "60s", "--warm-up", "60s", "--call", "GetServerInfo", "--out", str(out)]
    with pretend_server(delay=30) as address, attacking("attack", address, *flags) as process:
        wait_for_calls(out, 10)
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "ONLY THE WARM-UP WAS SENT" in stdout
    assert (records_of(out)["code"] == UNANSWERED).all()


def test_calls_that_a_killed_process_had_in_flight_count_as_errors(tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--in-flight", "5", *ENDLESS]
    with pretend_server(delay=30) as address, attacking("attack", address, *flags, "--out", str(out)) as process:
        wait_for_calls(out, 5)
        [worker] = children_of(process.pid)
        os.kill(worker, signal.SIGKILL)
        stdout, _ = process.communicate(timeout=30)
    assert process.returncode == ExitCode.FAILED
    summary = summarize([out])
    assert (summary.lost, summary.planned, summary.error_share) == (5, 5, 1)
    assert "5 calls were UNANSWERED when the run ended" in stdout


def unanswered_of(path: Path) -> int:
    """Returns the number of unanswered calls of a results file."""
    return int((records_of(path)["code"] == UNANSWERED).sum())


def test_a_closed_loop_sends_nothing_after_its_process_group_is_terminated(tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--in-flight", "4", "--duration", "60s", "--warm-up", "0s", "--call", "GetServerInfo", "--out", str(out)]
    with pretend_server(delay=0.05) as address, attacking("attack", address, *flags, process_group=0) as process:
        wait_for_records(out)
        os.killpg(process.pid, signal.SIGTERM)
        stdout, _ = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert re.search(r"PARTIAL: interrupted after .* s; 0 calls were unanswered", stdout), stdout
    assert "died" not in stdout
    [run] = summarize([out]).runs
    interrupted_seconds = float(re.findall(r"interrupted after ([\d.]+) s", run.partial)[0])
    assert records_of(out)["sent_ns"].max() / 1e9 < interrupted_seconds + 0.3


def test_an_interrupted_search_keeps_its_trials(tmp_path: Path) -> None:
    flags = ["--call", "GetServerInfo", "--objective", "p50<1s", "--window", "500ms", "--warm-up", "0s"]
    flags += ["--out", str(tmp_path)]
    with pretend_server() as address, attacking("slo", address, *flags, stderr=subprocess.PIPE) as process:
        wait_for_records(tmp_path / "trial-02-100.bin")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED, stderr
    found = json.loads((tmp_path / "slo.json").read_text())
    assert found["interrupted"]
    # The second trial may have ended between its last record and the signal.
    assert (found["highest_rate"], len(found["trials"])) in {(50, 1), (100, 2)}
    met = f"{found['highest_rate']:g} requests a second met the objectives"
    assert stdout.startswith(f"PARTIAL: interrupted before the confirmation; {met}")


def test_a_search_deletes_the_trials_of_an_earlier_one_and_nothing_else(tmp_path: Path) -> None:
    earlier = write_run(tmp_path / "trial-07-800.bin", [record()])
    others = [write_run(tmp_path / "mine.bin", [record()]), tmp_path / "trial-notes.bin"]
    others[1].write_text("my notes")
    flags = ["--call", "GetServerInfo", "--objective", "errors<1%", "--window", "500ms", "--warm-up", "0s"]
    flags += ["--max-rate", "50", "--repeats", "0", "--windows", "2", "--out", str(tmp_path)]
    with pretend_server() as address:
        run_command("slo", address, *flags)
    assert not earlier.exists()
    assert all(each.exists() for each in (*others, tmp_path / "trial-01-50.bin"))


def test_an_interrupt_in_the_first_trial_of_a_search_says_that_no_rate_was_met(tmp_path: Path) -> None:
    flags = ["--call", "GetServerInfo", "--objective", "errors<1%", "--warm-up", "0s", "--deadline", "60s"]
    flags += ["--out", str(tmp_path)]
    with (
        pretend_server(delay=30) as address,
        attacking("slo", address, *flags, stderr=subprocess.PIPE) as process,
    ):
        wait_for_calls(tmp_path / "trial-01-50.bin", 15)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED, stderr
    assert stdout.startswith("PARTIAL: interrupted before the confirmation; no rate met the objectives.")
    assert "Traceback" not in stderr
    assert unanswered_of(tmp_path / "trial-01-50.bin") >= 15


def test_an_interrupt_of_the_imports_ends_without_a_traceback() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "loadtest", "attack", "localhost:1"]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None, "it is a pipe"
        while not process.stderr.readline().rstrip().endswith("google.protobuf.message"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in rest


def test_an_interrupt_before_the_start_leaves_no_file(tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--in-flight", "1", "--count", "1", "--call", "GetServerInfo", "--out", str(out)]
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with attacking("attack", f"127.0.0.1:{silent.getsockname()[1]}", *flags) as process:
            while not (children := children_of(process.pid)):
                time.sleep(0.02)
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            stdout, _ = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (ExitCode.INTERRUPTED, "")
    assert not out.exists()
    assert not any(Path(f"/proc/{child}").exists() for child in children)
