import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.analysis.objective import judge_objectives, parse_objective
from loadtest.analysis.summary import summarize
from tests.loadtest.results_files import METHOD, record, vitals, write_run

OTHER = "chaja.v1.EncodeService/Encode"


def steady(rate: float, seconds: float, *, start: float = 0.0, latency: float = 0.010) -> list[bytes]:
    """Returns successful records at a constant rate."""
    return [record(start + number / rate, latency) for number in range(round(rate * seconds))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.bin"


def test_counts_rates_and_latencies_match_the_records(path: Path) -> None:
    packed = [
        *steady(60, 10),  # Good.
        *(record(each, 0.5) for each in range(10)),  # Successes, but too slow for goodput.
        *(record(each, code="RESOURCE_EXHAUSTED") for each in range(8)),
        *(record(each, code="UNAVAILABLE") for each in range(4)),
        *(record(each, 1.0, code="DEADLINE_EXCEEDED") for each in range(5)),
        *(record(each, late=0.003) for each in range(3)),  # Good, although sent late.
    ]
    reports = [
        vitals(seconds=5.0, dropped=2),
        vitals(seconds=10.0, dropped=20, dropped_at=[[50, 18]]),
        vitals(process=1, seconds=9.0, dropped=5),
    ]
    summary = summarize([write_run(path, packed, reports=reports)], within_seconds=0.2)
    total = summary.total
    assert (total.sent, summary.dropped, summary.planned, summary.late) == (630, 25, 655, 3)
    assert (total.ok.count, total.goodput, total.refused.count) == (613, 603, 8)
    assert [(outcome.code, outcome.count) for outcome in total.errors] == [("DEADLINE_EXCEEDED", 5), ("UNAVAILABLE", 4)]
    assert (summary.seconds, summary.within_seconds, summary.warm_up) == (10.0, 0.2, 0)
    assert summary.offered_rate == pytest.approx(65.5)
    assert summary.sent_rate == pytest.approx(63.0)
    assert summary.achieved_rate == pytest.approx(61.3)
    assert summary.goodput_rate == pytest.approx(60.3)
    assert summary.error_share == pytest.approx((655 - 613) / 655)
    assert summary.generator.late_share == pytest.approx(3 / 630)
    assert (total.request_bytes, total.response_bytes) == (6300, 12600)
    assert total.ok.latency.percentile(50) == pytest.approx(0.010, rel=0.001)
    assert total.ok.latency.percentile(100) == pytest.approx(0.5, rel=0.001)
    assert summary.partial == []
    assert summary.timeline.planned.sum() == 630


def test_the_deadline_bounds_goodput_by_default(path: Path) -> None:
    write_run(path, [record(0.0, 0.9), record(0.0, 1.0), record(0.0, 1.1)], deadline_seconds=1.0)
    for within, good in ((None, 2), (0.95, 1), (2.0, 3)):
        summary = summarize([path], within_seconds=within)
        assert summary.total.goodput == good
        assert summary.within_seconds == (1.0 if within is None else within)


def test_the_warm_up_is_counted_separately(path: Path) -> None:
    warm_up = [record(-2 + number / 10, 5.0, late=1.0, code="INTERNAL", query=3, same=0) for number in range(20)]
    reports = [vitals(seconds=-0.5, loop_lag_seconds=5.0), *(vitals(seconds=1.0 + number) for number in range(5))]
    path = write_run(path, [*warm_up, *steady(10, 10)], reports=reports, warm_up_seconds=2.0)
    summary = summarize([path])
    assert summary.warm_up == 20
    assert (summary.total.sent, summary.late, summary.planned) == (100, 0, 100)
    assert summary.offered_rate == summary.achieved_rate == pytest.approx(10)
    assert summary.error_share == 0
    assert summary.timeline.planned.tolist() == [10] * 10
    assert (summary.quality.compared, summary.quality.different_queries) == (0, [])
    assert not summary.generator.saturated


def test_the_last_answers_end_a_run_that_outlasts_its_plan(path: Path) -> None:
    summary = summarize([write_run(path, [*steady(10, 10), record(9.99, 10.01)])])
    assert summary.seconds == pytest.approx(20.0, rel=0.001)
    assert summary.achieved_rate == pytest.approx(101 / 20, rel=0.001)
    assert summary.offered_rate == pytest.approx(10.1)


def test_one_slow_answer_does_not_lengthen_a_run(path: Path) -> None:
    summary = summarize([write_run(path, [*steady(200, 10), record(9.99, 10.01, code="DEADLINE_EXCEEDED")])])
    assert summary.seconds == pytest.approx(10, rel=0.001)
    assert summary.achieved_rate == pytest.approx(200, rel=0.001)


def test_drops_count_for_their_planned_time(path: Path) -> None:
    late_report = vitals(seconds=11.0, dropped=60, dropped_at=[[39, 10], [40, 20], [99, 30]])
    write_run(path, steady(10, 10), reports=[late_report])
    windows = [summarize([path], between_seconds=(start, start + 2)) for start in (0, 2, 4, 6, 8)]
    assert [window.dropped for window in windows] == [0, 10, 20, 0, 30]
    assert [window.offered_rate for window in windows] == [10, 15, 20, 10, 25]
    assert summarize([path]).timeline.dropped.tolist()[3:5] == [10, 20]


@pytest.mark.parametrize(
    ("rate", "seconds", "plan", "measured_seconds"),
    [
        (50, 2, {"seconds": None, "count": 100}, 2),
        (50, 2, {"seconds": 60.0, "count": 100}, 2),
        (5, 10, {"seconds": 10.0, "count": 100}, 10),
        (10, 4, {"seconds": 60.0, "end": {"partial": "interrupted after 4.0 s"}}, 4),
    ],
    ids=["count", "count before duration", "duration before count", "interrupted"],
)
def test_a_run_lasts_until_its_duration_count_or_interrupt(
    path: Path, rate: float, seconds: float, plan: dict[str, Any], measured_seconds: float
) -> None:
    summary = summarize([write_run(path, steady(rate, seconds), **plan)])
    assert summary.seconds == pytest.approx(measured_seconds)
    assert summary.offered_rate == pytest.approx(rate)
    assert summary.achieved_rate == pytest.approx(rate)


def test_rates_of_simultaneous_runs_add_up(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one.bin", steady(10, 10), started=1000.0, reports=[vitals()])
    two = write_run(tmp_path / "two.bin", steady(30, 10), started=1000.0, reports=[vitals(dropped=10)])
    summary = summarize([one, two])
    assert summary.seconds == 10
    assert summary.offered_rate == pytest.approx(41)
    assert summary.achieved_rate == pytest.approx(40)
    assert summary.dropped == 10
    assert summary.generator.processes == 2
    assert summary.timeline.planned.tolist() == [40] * 10


def test_rates_of_repeats_do_not_add_up(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one.bin", steady(10, 10), started=1000.0)
    two = write_run(tmp_path / "two.bin", steady(30, 10), started=1010.0)
    for paths in ([one, two], [two, one]):
        summary = summarize(paths)
        assert summary.seconds == 20
        assert summary.offered_rate == summary.achieved_rate == pytest.approx(20)


def test_runs_overlap_by_their_measured_parts(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one.bin", steady(10, 10), started=1000.0, warm_up_seconds=10.0)
    two = write_run(tmp_path / "two.bin", steady(10, 10), started=1010.0)
    after = write_run(tmp_path / "after.bin", steady(10, 10), started=1020.0)
    assert summarize([one, two]).offered_rate == pytest.approx(20)
    assert summarize([one, after]).offered_rate == pytest.approx(10)


def test_calls_of_a_mix_are_counted_separately(path: Path) -> None:
    packed = [
        *(record(number / 10, 0.010, call=0) for number in range(60)),
        *(record(number / 10, 0.100, call=1) for number in range(30)),
        *(record(number / 10, call=1, code="INTERNAL") for number in range(10)),
    ]
    summary = summarize([write_run(path, packed, calls=[{"method": METHOD}, {"method": OTHER}])])
    search, encode = summary.calls
    assert (search.name, search.sent, search.ok.count) == (METHOD, 60, 60)
    assert (encode.name, encode.sent, encode.ok.count, encode.errors[0].count) == (OTHER, 40, 30, 10)
    assert search.ok.latency.percentile(99) == pytest.approx(0.010, rel=0.001)
    assert encode.ok.latency.percentile(99) == pytest.approx(0.100, rel=0.001)
    assert summary.total.sent == 100


def test_the_time_of_an_answer_is_split_into_the_servers_stages_and_the_rest(path: Path) -> None:
    stages = (0.001, 0.002, 0.003, 0.004, 0.005)
    packed = [
        *(record(number, 0.025, late=0.005, stages=stages, batch_texts=4) for number in range(8)),
        record(8.0, 0.025),  # Reports no stages.
        record(9.0, 0.025, stages=stages, code="INTERNAL"),
    ]
    total = summarize([write_run(path, packed)]).total
    assert [latencies.count for latencies in total.stages.values()] == [8] * 5
    assert [latencies.mean for latencies in total.stages.values()] == pytest.approx(list(stages))
    assert total.server.count == 8
    assert total.server.mean == pytest.approx(0.015)
    assert total.beyond_server.mean == pytest.approx(0.005)
    assert total.batch_texts == 32


def test_quality_is_the_mean_over_labelled_answers(path: Path) -> None:
    packed = [
        record(0.0, quality=(1.0, 0.5), same=1),
        record(1.0, quality=(0.5, 0.25), same=0, query=7),
        record(2.0, same=0, query=7),
        *(record(3.0, same=0, query=query) for query in range(20)),
    ]
    quality = summarize([write_run(path, packed, quality_at=5)]).quality
    assert (quality.at, quality.labelled) == (5, 2)
    assert (quality.recall, quality.ndcg) == (0.75, 0.375)
    assert (quality.compared, quality.different) == (23, 22)
    assert quality.different_queries == [7, 0, 1, 2, 3, 4, 5, 6, 8, 9]


def test_unanswered_calls_and_those_of_a_process_that_died_are_errors(path: Path) -> None:
    packed = [record(0.1), record(0.2, 5.0, code="UNANSWERED"), record(-0.1, 5.0, code="UNANSWERED")]
    summary = summarize([write_run(path, packed, warm_up_seconds=1.0, end={"partial": "it died", "lost": 2})])
    assert (summary.planned, summary.unanswered, summary.lost) == (4, 3, 2)
    assert summary.error_share == 0.75
    [verdict] = judge_objectives([parse_objective("unanswered<75%")], summary)
    assert (verdict.met, verdict.value) == (False, 0.75)


def test_errors_inside_answers_are_counted_by_part(path: Path) -> None:
    packed = [record(0.1, parts=(4, 0)), record(0.2, parts=(4, 1), code="NOT_FOUND"), record(0.3, code="INTERNAL")]
    total = summarize([write_run(path, packed)]).total
    assert (total.parts, total.failed_parts, total.failed_answers, total.ok.count) == (8, 1, 1, 1)
    [verdict] = judge_objectives([parse_objective("failed_parts<=12.5%")], summarize([path]))
    assert verdict.met


def test_a_run_in_which_nothing_was_sent_has_a_summary(path: Path) -> None:
    summary = summarize([write_run(path, [], reports=[vitals(dropped=50)])])
    assert (summary.total.sent, summary.planned) == (0, 50)
    assert (summary.offered_rate, summary.achieved_rate, summary.error_share) == (5.0, 0.0, 1.0)
    assert summary.total.errors == []
    assert math.isnan(summary.quality.recall)
    empty = summarize([write_run(path, [], seconds=None, count=5, end={"partial": "interrupted"})])
    assert (empty.seconds, empty.offered_rate, empty.achieved_rate) == (0.0, 0.0, 0.0)
    assert math.isnan(empty.error_share)


def test_a_run_of_a_single_request_lasts_until_its_answer(path: Path) -> None:
    summary = summarize([write_run(path, [record(0.0, 0.5)], seconds=None, count=1)])
    assert (summary.total.sent, summary.seconds, summary.achieved_rate) == pytest.approx((1, 0.5, 2.0), rel=0.001)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-2, 9.9), st.floats(0, 3), st.sampled_from(["OK", "UNAVAILABLE", "RESOURCE_EXHAUSTED"])),
        max_size=40,
    ),
    st.integers(0, 20),
)
def test_every_planned_request_is_counted_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, float, str]], dropped: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    packed = [record(planned, latency, code=code) for planned, latency, code in rows]
    summary = summarize([write_run(path, packed, reports=[vitals(dropped=dropped)], warm_up_seconds=2.0)])
    measured = [row for row in rows if round(row[0] * 1e9) >= 0]
    total = summary.total
    assert summary.warm_up == len(rows) - len(measured)
    assert total.sent == total.ok.count + total.refused.count + sum(each.count for each in total.errors)
    assert summary.planned == len(measured) + dropped
    assert total.goodput <= total.ok.count
    rates = [summary.goodput_rate, summary.achieved_rate, summary.sent_rate, summary.offered_rate]
    assert all(less <= more + 1e-9 for less, more in pairwise(rates))
    assert summary.timeline.planned.sum() == len(measured)
    if summary.planned:
        assert 0 <= summary.error_share <= 1


def test_a_run_without_records_has_the_limit_of_goodput(tmp_path: Path) -> None:
    assert summarize([write_run(tmp_path / "run.bin", [])]).within_seconds == 1.0
