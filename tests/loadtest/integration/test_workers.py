"""Several generator machines drive a server as one: all of them are processes of this machine."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.analysis.summary import summarize
from loadtest.attack import Ending, attack
from loadtest.errors import AttackError, ExitCode, UsageError
from loadtest.plan import Plan
from loadtest.reports.text import text_report
from loadtest.schedule import constant
from loadtest.target import Target
from tests.loadtest.integration.attacks import (
    SUCCESSFUL,
    attacking,
    make_plan,
    records_of,
    run_command,
    wait_for_records,
)
from tests.loadtest.integration.worker_processes import Worker, two_workers, worker
from tests.loadtest.pretend_server import pretend_server

SAME = ("planned_ns", "number", "query", "request_bytes", "response_bytes", "call", "process", "code", "same")
"""The columns that do not depend on how quick a machine is."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with pretend_server() as address:
        yield address


@pytest.fixture(scope="module")
def workers() -> Iterator[tuple[Worker, Worker]]:
    with two_workers() as both:
        yield both


def targets(workers: tuple[Worker, ...]) -> list[Target]:
    return [Target(address=each.address) for each in workers]


def poisson_plan(address: str) -> Plan:
    schedule = constant(150, seconds=1.5, warm_up_seconds=0.3, poisson=True, seed=3)
    options: dict[str, Any] = {"seconds": 1.5, "warm_up_seconds": 0.3, "order": "zipf", "seed": 3, "processes": 3}
    options["deadline_seconds"] = 60.0  # Outcomes must not depend on how busy the machine is.
    return make_plan(address, schedule=schedule, **options)


def test_the_records_are_those_of_one_machine(server: str, workers: tuple[Worker, Worker], tmp_path: Path) -> None:
    here, there = tmp_path / "here.bin", tmp_path / "there.bin"
    plan = poisson_plan(server)
    assert attack(plan, here) == Ending()
    assert attack(plan, there, workers=targets(workers)) == Ending()
    one, other = (np.sort(records_of(path), order="number") for path in (here, there))
    for column in SAME:
        assert (one[column] == other[column]).all(), column
    assert len(one) > 150
    # The percentiles are those of all records together.
    latencies = [each["done_ns"] - each["planned_ns"] for each in [other[other["planned_ns"] >= 0]]]
    summary = summarize([there])
    assert summary.total.ok.count == len(latencies[0])
    assert summary.total.ok.latency.percentile(100) == pytest.approx(latencies[0].max() / 1e9, rel=0.01)


def test_the_report_shows_each_machine(server: str, workers: tuple[Worker, Worker], tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    attack(poisson_plan(server), out, workers=targets(workers))
    summary = summarize([out])
    assert [machine.address for machine in summary.machines] == [each.address for each in workers]
    assert [machine.generator.processes for machine in summary.machines] == [2, 1]
    assert sum(machine.sent for machine in summary.machines) == summary.total.sent
    assert sum(machine.generator.late for machine in summary.machines) == summary.late
    for machine in summary.machines:
        assert 0 < machine.clock_bound_seconds < 1
        assert machine.drift_seconds is not None
        # Both processes have one clock.
        assert abs(machine.drift_seconds) <= machine.clock_bound_seconds + machine.drift_bound_seconds
        assert machine.address in text_report(summary, [])


def test_a_closed_loop_shares_its_calls_and_its_count(
    server: str, workers: tuple[Worker, Worker], tmp_path: Path
) -> None:
    out = tmp_path / "results.bin"
    flags = ["--call", "GetServerInfo", "--in-flight", "5", "--count", "301", "--warm-up", "0s", "--processes", "2"]
    run = run_command(
        "attack", server, *flags, "--workers", ",".join(each.address for each in workers), "--out", str(out)
    )
    assert run.returncode in SUCCESSFUL, run.stdout + run.stderr
    assert len(records_of(out)) == 301
    assert sorted(set(records_of(out)["process"].tolist())) == [0, 1, 2, 3]
    shown = json.loads(run_command("report", str(out), "--format", "json").stdout)
    assert [machine["processes"] for machine in shown["machines"]] == [2, 2]
    assert [each["processes"] for each in shown["runs"][0]["workers"]] == [[0, 1], [2, 3]]


def test_slo_searches_with_workers(server: str, workers: tuple[Worker, Worker], tmp_path: Path) -> None:
    flags = ["--call", "GetServerInfo", "--objective", "p50<5s", "--objective", "errors<50%", "--window", "500ms"]
    flags += ["--warm-up", "0s", "--start-rate", "40", "--max-rate", "40", "--repeats", "0", "--out", str(tmp_path)]
    run = run_command("slo", server, *flags, "--workers", ",".join(each.address for each in workers))
    found = json.loads((tmp_path / "slo.json").read_text())
    assert found["trials"], run.stdout + run.stderr
    [trial, *_] = sorted(tmp_path.glob("trial-*.bin"))
    assert [machine.generator.processes for machine in summarize([trial]).machines] == [1, 1]
    assert len(records_of(trial)) == 60


def test_a_killed_worker_leaves_a_partial_run_and_no_load(server: str, tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--call", "GetServerInfo", "--rate", "40", "--duration", "6s", "--warm-up", "0s", "--out", str(out)]
    with two_workers() as (one, other):
        addresses = f"{one.address},{other.address}"
        with attacking("attack", server, *flags, "--workers", addresses) as process:
            wait_for_records(out)
            [child] = other.children()
            other.kill()
            stdout, _ = process.communicate(timeout=60)
        assert process.returncode == ExitCode.FAILED, stdout
        assert f"PARTIAL: worker {other.address} was lost" in stdout
        assert "its results until then are kept" in stdout
        assert stdout.count("PARTIAL") == 1
        records = records_of(out)
        assert (records["process"] == 0).sum() == 120  # Those of the other machine are whole.
        assert 0 < (records["process"] == 1).sum() < 120
        assert_gone(child)


@pytest.mark.slow
def test_a_worker_that_hangs_is_given_up(server: str, tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--call", "GetServerInfo", "--rate", "20", "--duration", "20s", "--warm-up", "0s", "--out", str(out)]
    with two_workers() as (one, other):
        with attacking("attack", server, *flags, "--workers", f"{one.address},{other.address}") as process:
            wait_for_records(out)
            other.send_signal(signal.SIGSTOP)
            stdout, _ = process.communicate(timeout=90)
        assert process.returncode == ExitCode.FAILED, stdout
        assert f"PARTIAL: worker {other.address} was silent for 10 seconds; its results until then are kept" in stdout
        records = records_of(out)
        assert (records["process"] == 0).sum() == 200
        assert 0 < (records["process"] == 1).sum() < 200


def test_an_interrupt_ends_the_load_of_all_machines(
    server: str, workers: tuple[Worker, Worker], tmp_path: Path
) -> None:
    out = tmp_path / "results.bin"
    flags = ["--call", "GetServerInfo", "--rate", "40", "--duration", "60s", "--warm-up", "0s", "--out", str(out)]
    with attacking("attack", server, *flags, "--workers", ",".join(each.address for each in workers)) as process:
        wait_for_records(out)
        children = [child for each in workers for child in each.children()]
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "PARTIAL: interrupted after" in stdout
    assert len(children) == 2
    assert_gone(*children)
    assert summarize([out]).total.ok.count > 10


@pytest.mark.parametrize(
    "killer", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)], ids=["dead", "hanging"]
)
def test_no_load_outlives_the_coordinator(
    server: str, workers: tuple[Worker, Worker], tmp_path: Path, killer: signal.Signals
) -> None:
    out = tmp_path / "results.bin"
    flags = ["--call", "GetServerInfo", "--in-flight", "4", "--duration", "120s", "--warm-up", "0s", "--out", str(out)]
    with attacking("attack", server, *flags, "--workers", ",".join(each.address for each in workers)) as process:
        wait_for_records(out)
        children = [child for each in workers for child in each.children()]
        process.send_signal(killer)
        try:
            assert_gone(*children, seconds=25)
        finally:
            process.kill()
    assert len(children) == 2
    # The workers take the next coordinator.
    attack(make_plan(server, in_flight=2, count=4, processes=2), tmp_path / "next.bin", workers=targets(workers))


def test_a_busy_worker_is_not_disturbed(server: str, workers: tuple[Worker, Worker], tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--call", "GetServerInfo", "--rate", "20", "--duration", "8s", "--warm-up", "0s", "--out", str(out)]
    busy = workers[1].address
    with attacking("attack", server, *flags, "--workers", busy) as process:
        wait_for_records(out)
        with pytest.raises(AttackError, match=f"worker {busy} is busy"):
            attack(make_plan(server, in_flight=2, count=4, processes=2), tmp_path / "b.bin", workers=targets(workers))
        process.communicate(timeout=60)
    assert process.returncode in SUCCESSFUL
    assert not (tmp_path / "b.bin").exists()
    assert len(records_of(out)) == 160


def test_an_unreachable_worker_is_named_before_anything_is_sent(
    server: str, workers: tuple[Worker, Worker], tmp_path: Path
) -> None:
    out = tmp_path / "results.bin"
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as closed:
        ports = [each.getsockname()[1] for each in (silent, closed)]
        closed.close()
        for address in (*(f"127.0.0.1:{port}" for port in ports), server):
            flags = ["--call", "GetServerInfo", "--in-flight", "2", "--count", "2", "--out", str(out)]
            run = run_command("attack", server, *flags, "--workers", f"{workers[0].address},{address}")
            assert run.returncode == ExitCode.FAILED, run.stderr
            assert len(run.stderr.splitlines()) == 1
            assert address in run.stderr
    assert not out.exists()
    assert workers[0].children() == []


def test_a_worker_that_cannot_reach_the_server_is_named(workers: tuple[Worker, Worker], tmp_path: Path) -> None:
    with pytest.raises(AttackError, match=r"^worker 127\.0\.0\.1:\d+: 127\.0\.0\.1:1 does not answer"):
        attack(
            make_plan("127.0.0.1:1", in_flight=2, count=2, processes=2), tmp_path / "x.bin", workers=targets(workers)
        )


def test_more_machines_than_processes_are_refused(server: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least as many processes"):
        attack(make_plan(server, in_flight=2, count=2), tmp_path / "x.bin", workers=[Target(address="a:1")] * 2)


def test_a_worker_with_other_sources_is_refused(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.machines.messages.own_version", lambda: ("9.9.9", "other"))
    with (
        worker() as there,
        pytest.raises(AttackError, match=r"is another version of the load tester than this, 9\.9\.9"),
    ):
        attack(make_plan(server, in_flight=1, count=1), tmp_path / "x.bin", workers=targets((there,)))


def test_a_worker_takes_only_its_token(server: str, tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--call", "GetServerInfo", "--in-flight", "1", "--count", "3", "--warm-up", "0s", "--out", str(out)]
    with worker(CHAJA_WORKER_TOKEN="hidden-1") as there:
        for token in ("", "hidden-2"):
            run = run_command("attack", server, *flags, "--workers", there.address, CHAJA_WORKER_TOKEN=token)
            assert run.returncode == ExitCode.USAGE
            assert "refuses the token" in run.stderr
        flags += ["--workers", there.address, "--worker-token", "hidden-1", "--token", "hidden-3"]
        run = run_command("attack", server, *flags)
        assert run.returncode in SUCCESSFUL, run.stderr
        there.send_signal(signal.SIGTERM)
        said, logged = there.communicate(timeout=30)
        assert there.returncode == ExitCode.OK
    for text in (run.stdout, run.stderr, said, logged, out.read_bytes().decode("latin-1")):
        assert "hidden" not in text


def assert_gone(*processes: int, seconds: float = 10) -> None:
    """Waits until processes have ended."""
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{process}").exists() for process in processes):
        assert time.monotonic() < deadline, "a process still runs"
        time.sleep(0.05)
