import math
from pathlib import Path

import pytest

from loadtest.analysis.objective import judge_objectives, parse_objective
from loadtest.analysis.summary import summarize
from loadtest.reports.json import report_object
from loadtest.reports.text import text_report
from tests.loadtest.results_files import record, write_run


def test_reports_and_objectives_have_the_messages_of_successful_streams(tmp_path: Path) -> None:
    packed = [record(0.0, stream=(2, 10, 0.1, 0.02, 0.05))] * 50 + [record(0.5, stream=(4, 30, 0.3, 0.04, 0.06))] * 50
    packed += [record(0.1), record(0.1, code="INTERNAL", stream=(1, 99, 9.0, 9.0, 9.0))]
    summary = summarize([write_run(tmp_path / "results.bin", packed)])
    streams = report_object(summary, [])["all"]["streams"]
    assert (streams["calls"], streams["messages_sent"], streams["messages_received"]) == (100, 300, 2000)
    assert streams["first_message_seconds"]["mean"] == pytest.approx(0.2, rel=0.01)
    objectives = [parse_objective(each) for each in ("first_message.p99<310ms", "longest_gap.max<60ms", "messages>1")]
    met, missed, rate = judge_objectives(objectives, summary)
    assert (met.met, missed.met) == (True, False)
    assert rate.value == pytest.approx(2000 / summary.seconds)
    assert "from the send to the first message" in text_report(summary, [])


def test_a_run_without_streams_does_not_mention_them(tmp_path: Path) -> None:
    summary = summarize([write_run(tmp_path / "results.bin", [record()] * 3)])
    assert "first message" not in text_report(summary, [])


def test_streams_without_a_message_are_counted_and_named(tmp_path: Path) -> None:
    packed = [record(stream=(1, 3, 0.1, 0.02, 0.05))] * 3 + [record(stream=(1, 0, math.nan, math.nan, math.nan))]
    summary = summarize([write_run(tmp_path / "results.bin", packed)])
    assert report_object(summary, [])["all"]["streams"]["silent"] == 1
    [verdict] = judge_objectives([parse_objective("silent<=25%")], summary)
    assert (verdict.value, verdict.met) == (0.25, True)
    assert "1 streams ended with OK and WITHOUT A MESSAGE" in text_report(summary, [])
    unary = summarize([write_run(tmp_path / "unary.bin", [record()])])
    [verdict] = judge_objectives([parse_objective("silent<1%")], unary)
    assert not verdict.met
