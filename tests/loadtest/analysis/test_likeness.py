from pathlib import Path

from loadtest.analysis.compare import compare
from loadtest.analysis.likeness import differences
from loadtest.analysis.summary import summarize
from loadtest.reports.text import text_report
from tests.loadtest.results_files import record, write_run

PACKED = [record(number / 10) for number in range(100)]


def test_runs_of_one_plan_have_no_differences(tmp_path: Path) -> None:
    a, b = (write_run(tmp_path / f"{name}.bin", PACKED, target={"address": name}) for name in "ab")
    assert differences(summarize([a, b]).runs) == []
    assert compare([summarize([a])], [summarize([b])]).notes == []


def test_report_and_comparison_name_the_differences(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a.bin", PACKED, rates=[[10.0, 10.0, 10.0]])
    b = write_run(tmp_path / "b.bin", PACKED, rates=[[10.0, 15.0, 15.0]], deadline_seconds=2.0)
    assert differences(summarize([a, b]).runs) == ["deadline seconds", "rates"]
    assert compare([summarize([a])], [summarize([b])]).notes == [
        "THE RUNS ARE NOT COMPARABLE: they differ in deadline seconds, rates."
    ]
    assert "not comparable: they differ in deadline seconds, rates." in text_report(summarize([a, b]), [])
