import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.analysis.summary import summarize
from loadtest.attack import attack
from loadtest.codes import CODES, OK
from loadtest.errors import AttackError, ExitCode, ResultsError
from loadtest.reports.text import text_report
from loadtest.schedule import constant
from loadtest.target import Target
from tests.loadtest.integration.attacks import (
    attacking,
    children_of,
    make_plan,
    records_of,
    run_attack,
    run_command,
    wait_for_records,
)
from tests.loadtest.pretend_server import pretend_server


@pytest.fixture(scope="module")
def quick_server() -> Iterator[str]:
    with pretend_server() as address:
        yield address


@pytest.mark.alone
def test_an_open_loop_sends_every_request_at_its_planned_time(quick_server: str, tmp_path: Path) -> None:
    plan = make_plan(quick_server, schedule=constant(200, seconds=2), seconds=2)
    records = run_attack(tmp_path / "results.bin", plan)
    planned = np.sort(records["planned_ns"])
    assert len(records) == 400
    assert np.allclose(planned, np.arange(400) * 5_000_000, atol=1)
    assert (records["sent_ns"] >= records["planned_ns"]).all()
    assert (records["done_ns"] > records["sent_ns"]).all()
    assert np.percentile(records["sent_ns"] - records["planned_ns"], 90) < 5_000_000


def test_processes_share_a_schedule_without_gap_or_overlap(quick_server: str, tmp_path: Path) -> None:
    plan = make_plan(quick_server, schedule=constant(300, seconds=1), seconds=1, processes=3)
    records = run_attack(tmp_path / "results.bin", plan)
    assert sorted(records["number"].tolist()) == list(range(300))
    assert sorted(set(records["process"].tolist())) == [0, 1, 2]


@pytest.mark.parametrize("loop", ["open", "closed"])
def test_the_addresses_of_a_list_get_equal_shares(quick_server: str, tmp_path: Path, loop: str) -> None:
    load: dict[str, Any] = {"schedule": constant(100, seconds=1)} if loop == "open" else {"in_flight": 4, "count": 100}
    with pretend_server(fail_every=1) as failing:
        plan = make_plan(quick_server, **{"seconds": 60, **load})
        addresses = f"ipv4:{quick_server},dns:{failing}"
        records = run_attack(tmp_path / "results.bin", replace(plan, target=Target(address=addresses, connections=2)))
    assert Counter(records["code"].tolist()) == {OK: 50, CODES.index("INTERNAL"): 50}


def test_a_count_ends_a_run_and_the_warm_up_does_not_count(quick_server: str, tmp_path: Path) -> None:
    plan = make_plan(
        quick_server, schedule=constant(200, warm_up_seconds=0.5), warm_up_seconds=0.5, count=50, processes=2
    )
    records = run_attack(tmp_path / "open.bin", plan)
    assert ((records["planned_ns"] >= 0).sum(), (records["planned_ns"] < 0).sum()) == (50, 100)
    run_attack(tmp_path / "closed.bin", make_plan(quick_server, in_flight=7, count=333, processes=2))
    assert summarize([tmp_path / "closed.bin"]).total.ok.count == 333
    assert summarize([tmp_path / "open.bin"]).warm_up == 100


def test_refused_calls_and_errors_are_counted_separately_with_their_messages(tmp_path: Path) -> None:
    with pretend_server(shed_every=4, fail_every=10, delay=0.02) as address:
        run_attack(tmp_path / "results.bin", make_plan(address, in_flight=1, count=40))
    summary = summarize([tmp_path / "results.bin"])
    counts = {code: outcome.count for code, outcome in summary.total.outcomes.items()}
    assert counts == {"OK": 28, "RESOURCE_EXHAUSTED": 10, "INTERNAL": 2}
    assert sorted(summary.messages) == [("INTERNAL", "a fault", 2), ("RESOURCE_EXHAUSTED", "no room", 10)]
    assert summary.total.ok.latency.percentile(50) > 0.02 > summary.total.refused.latency.percentile(50)
    assert "no room" in text_report(summary, [])


def test_other_files_are_not_overwritten(quick_server: str, tmp_path: Path) -> None:
    precious = tmp_path / "queries.txt"
    precious.write_text("one\ntwo\n")
    with pytest.raises(ResultsError, match="is not overwritten"):
        attack(make_plan(quick_server, in_flight=1, count=1), precious)
    assert precious.read_text() == "one\ntwo\n"
    attack(make_plan(quick_server, in_flight=1, count=1), tmp_path / "results.bin")
    attack(make_plan(quick_server, in_flight=1, count=2), tmp_path / "results.bin")
    assert len(records_of(tmp_path / "results.bin")) == 2


def test_a_server_slower_than_any_deadline_gives_deadline_exceeded_only(tmp_path: Path) -> None:
    with pretend_server(delay=5) as address:
        plan = make_plan(address, schedule=constant(50, seconds=1), seconds=1, deadline_seconds=0.2)
        records = run_attack(tmp_path / "results.bin", plan)
    assert [CODES[code] for code in np.unique(records["code"])] == ["DEADLINE_EXCEEDED"]
    assert len(records) == 50
    assert ((records["done_ns"] - records["planned_ns"]) < 1_000_000_000).all()


@pytest.mark.alone
def test_requests_above_the_limit_in_flight_are_dropped_and_counted(tmp_path: Path) -> None:
    with pretend_server(delay=0.5) as address:
        plan = make_plan(address, schedule=constant(100, seconds=2), seconds=2, max_in_flight=10)
        run_attack(tmp_path / "results.bin", plan)
    summary = summarize([tmp_path / "results.bin"])
    assert summary.total.sent + summary.dropped == 200
    assert 30 <= summary.total.sent <= 50
    assert summary.error_share == pytest.approx(summary.dropped / 200)


def test_an_unreachable_rate_ends_in_time_and_says_that_the_generator_was_saturated(
    quick_server: str, tmp_path: Path
) -> None:
    started = time.monotonic()
    run = run_command(
        "attack", quick_server, "--rate", "1e6", "--duration", "2s", "--warm-up", "0s", "--call", "GetServerInfo",
        "--out", str(tmp_path / "results.bin"),
    )  # fmt: skip
    assert run.returncode == ExitCode.SATURATED
    assert run.stdout.startswith("GENERATOR SATURATED: ")
    assert time.monotonic() - started < 25
    summary = summarize([tmp_path / "results.bin"])
    assert summary.planned == 2_000_000
    assert summary.dropped > 1_000_000


def test_a_server_that_is_down_is_reported_and_no_file_remains(tmp_path: Path) -> None:
    with pytest.raises(AttackError, match=r"127\.0\.0\.1:1 does not answer"):
        attack(make_plan("127.0.0.1:1", in_flight=1, count=1), tmp_path / "results.bin")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.alone
def test_a_server_that_dies_during_a_run_is_reported_and_the_run_continues(tmp_path: Path) -> None:
    with pretend_server(die_after=1) as address:
        plan = make_plan(address, schedule=constant(100, seconds=2), seconds=2)
        run_attack(tmp_path / "results.bin", plan)
    summary = summarize([tmp_path / "results.bin"])
    assert summary.total.sent == 200
    assert 90 <= summary.total.ok.count <= 110
    assert [outcome.code for outcome in summary.total.errors] == ["UNAVAILABLE"]
    assert summary.timeline.answered[1] < 20 < summary.timeline.answered[0]


def test_a_worker_that_is_killed_leaves_partial_results(quick_server: str, tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--in-flight", "2", "--duration", "30s", "--warm-up", "0s", "--call", "GetServerInfo", "--out", str(out)]
    with attacking("attack", quick_server, *flags) as process:
        wait_for_records(out)
        worker = children_of(process.pid)[0]
        os.kill(worker, signal.SIGKILL)
        stdout, _ = process.communicate(timeout=30)
    assert process.returncode == ExitCode.FAILED
    assert "PARTIAL: generator process 0 died" in stdout
    assert len(records_of(out)) > 0


def test_an_interrupt_keeps_the_results_so_far(quick_server: str, tmp_path: Path) -> None:
    out = tmp_path / "results.bin"
    flags = ["--rate", "200", "--duration", "60s", "--warm-up", "0s", "--call", "GetServerInfo", "--out", str(out)]
    with attacking("attack", quick_server, *flags) as process:
        wait_for_records(out)
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "PARTIAL: interrupted after" in stdout
    summary = summarize([out])
    assert summary.partial[0].startswith("interrupted after")
    assert summary.total.ok.count == len(records_of(out))
    assert summary.achieved_rate == pytest.approx(200, rel=0.2)
