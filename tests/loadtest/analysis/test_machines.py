import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.analysis.summary import Summary, summarize
from loadtest.reports.json import json_report
from loadtest.reports.page import report_page
from loadtest.reports.text import markdown_report, text_report
from loadtest.reports.verdict import notes
from tests.loadtest.results_files import record, records, vitals, write_run

ENVIRONMENT = {"host": "one", "cpu": "C", "cpus_allowed": 4, "python": "3.11.7", "versions": {"grpcio": "1.85.1"}}
WORKERS: tuple[dict[str, Any], ...] = (
    {"address": "a:1", "processes": [0, 1], "clock_bound_seconds": 0.0001, "environment": ENVIRONMENT},
    {"address": "b:1", "processes": [2], "clock_bound_seconds": 0.0002, "environment": {**ENVIRONMENT, "host": "two"}},
)
CLOCKS = tuple({"address": name, "drift_seconds": -0.0005, "bound_seconds": 0.0001} for name in ("a:1", "b:1"))


def summary_of(
    path: Path, *, workers: Sequence[dict[str, Any]] = WORKERS, clocks: Sequence[dict[str, Any]] = CLOCKS
) -> Summary:
    sent = records(record(number / 100, late=0.01 if number == 2 else 0.0) for number in range(30)).copy()
    sent["process"] = np.arange(30) % 3
    packed = [each.tobytes() for each in sent]
    reports = [vitals(process=number, loop_cpu_seconds=(number + 1) / 10) for number in range(3)]
    end = {"partial": "", "clocks": list(clocks)}
    return summarize([write_run(path, packed, reports=reports, workers=workers, end=end)])


def test_each_machine_has_the_figures_of_its_processes(tmp_path: Path) -> None:
    one, two = summary_of(tmp_path / "r.bin").machines
    assert (one.address, one.sent, one.generator.late, one.generator.processes) == ("a:1", 20, 0, 2)
    assert (two.address, two.sent, two.generator.late, two.generator.processes) == ("b:1", 10, 1, 1)
    assert one.generator.busiest_share == pytest.approx(0.4)
    assert two.generator.busiest_share == pytest.approx(0.6)
    assert one.apart_seconds == pytest.approx(0.0007)
    assert not one.is_apart


def test_every_report_shows_the_machines(tmp_path: Path) -> None:
    summary = summary_of(tmp_path / "r.bin")
    reports = (text_report(summary, []), markdown_report(summary, []), report_page(summary))
    for shown in reports:
        assert all(word in shown for word in ("Generator machines", "a:1", "b:1", "two"))
    shown = json.loads(json_report(summary, []))["machines"]
    assert [(each["address"], each["sent"], each["clocks_agree"]) for each in shown] == [
        ("a:1", 20, True),
        ("b:1", 10, True),
    ]
    assert not any(line.startswith("CLOCKS") or "differ" in line for line in notes(summary))


@pytest.mark.parametrize(
    ("bound", "drift"), [(0.003, 0.0), (0.0001, -0.05)], ids=["unknown at the start", "drifting in the run"]
)
def test_clocks_that_do_not_agree_are_marked(tmp_path: Path, bound: float, drift: float) -> None:
    workers = [{**WORKERS[0], "clock_bound_seconds": bound}, WORKERS[1]]
    summary = summary_of(tmp_path / "r.bin", workers=workers, clocks=[{**CLOCKS[0], "drift_seconds": drift}])
    [line] = [line for line in notes(summary) if line.startswith("CLOCKS")]
    assert "worker a:1" in line
    assert "more than 2 ms" in line
    shown = json.loads(json_report(summary, []))["machines"]
    assert [each["clocks_agree"] for each in shown] == [False, True]
    assert shown[1]["clock_drift_seconds"] is None


def test_machines_that_differ_are_named(tmp_path: Path) -> None:
    other = {**ENVIRONMENT, "cpu": "D", "versions": {"grpcio": "1.86.0"}}
    summary = summary_of(tmp_path / "r.bin", workers=[WORKERS[0], {**WORKERS[1], "environment": other}])
    lines = notes(summary)
    assert "The generator machines differ in CPU: C, D." in lines
    assert "The generator machines differ in grpcio: 1.85.1, 1.86.0." in lines


def test_runs_on_other_machines_are_not_alike(tmp_path: Path) -> None:
    faster = [{**each, "environment": {**ENVIRONMENT, "cpu": "D"}} for each in WORKERS]
    paths = [summary_of(tmp_path / f"{n}.bin", workers=w).runs[0].path for n, w in enumerate((WORKERS, faster))]
    assert any("differ in CPU" in line for line in notes(summarize(paths)))


def test_a_run_on_one_machine_has_no_table_of_machines(tmp_path: Path) -> None:
    summary = summarize([write_run(tmp_path / "r.bin", [record()], reports=[vitals()])])
    assert summary.machines == []
    assert "Generator machines" not in text_report(summary, [])
