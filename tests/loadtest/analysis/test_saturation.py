from typing import Any

import pytest

from loadtest.analysis.saturation import BUSY_SHARE, LAG_SECONDS, judge
from tests.loadtest.results_files import vitals


def many(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [vitals(seconds=0.5 * (number + 1), **changes) for number in range(count)]


def test_a_healthy_generator_is_not_saturated() -> None:
    generator = judge(many(10), sent=1000, late=0)
    assert not generator.saturated
    assert generator.reasons == []
    assert generator.processes == 1
    assert generator.busiest_share == pytest.approx(0.2)
    assert generator.cpu_seconds == pytest.approx(2.0)
    assert generator.longest_lag_seconds == pytest.approx(0.001)
    assert generator.memory_bytes == 1000


def test_a_few_late_sends_do_not_saturate() -> None:
    assert not judge(many(2), sent=20, late=4).saturated
    assert judge(many(2), sent=20, late=5).saturated


def test_a_run_of_less_than_a_second_is_not_judged_by_its_cpu() -> None:
    assert not judge(many(1, loop_waited_seconds=0.4, loop_cpu_seconds=0.5), sent=1000, late=0).saturated
    assert judge(many(1, loop_waited_seconds=0.4), sent=1000, late=900).saturated


def test_waiting_for_a_cpu_is_a_sign_of_saturation() -> None:
    assert not judge(many(4, loop_waited_seconds=0.05), sent=1000, late=0).saturated
    generator = judge(many(4, loop_waited_seconds=0.06), sent=1000, late=0)
    assert generator.reasons == ["it waited for a CPU for 12% of the time"]


@pytest.mark.parametrize(("late", "saturated"), [(0, False), (10, False), (11, True), (1000, True)])
def test_more_than_one_late_send_in_a_hundred_saturates(late: int, saturated: bool) -> None:
    generator = judge(many(2), sent=1000, late=late)
    assert generator.late_share == late / 1000
    assert generator.saturated == saturated
    assert [reason.endswith("of sends were late") for reason in generator.reasons] == [True] * saturated


@pytest.mark.parametrize(("share", "saturated"), [(BUSY_SHARE - 0.01, False), (BUSY_SHARE + 0.01, True)])
def test_a_busy_event_loop_saturates(share: float, saturated: bool) -> None:
    generator = judge([*many(4, process=1), *many(4, loop_cpu_seconds=share / 2)], sent=1000, late=0)
    assert generator.processes == 2
    assert generator.busiest_share == pytest.approx(share)
    assert generator.saturated == saturated
    assert generator.reasons == ([f"its busiest process used {share:.0%} of a core"] if saturated else [])


@pytest.mark.parametrize(("blocked", "saturated"), [(0, False), (2, False), (3, True)])
def test_an_event_loop_that_is_often_blocked_saturates(blocked: int, saturated: bool) -> None:
    reports = many(20)
    for each in reports[:blocked]:
        each["loop_lag_seconds"] = LAG_SECONDS + 0.005
    generator = judge(reports, sent=1000, late=0)
    assert generator.lag_share == blocked / 20
    assert generator.saturated == saturated
    assert generator.reasons == (["its event loop was blocked for up to 30 ms"] if saturated else [])


def test_a_lag_at_the_limit_does_not_count() -> None:
    assert not judge(many(10, loop_lag_seconds=LAG_SECONDS), sent=1, late=0).saturated
    assert judge(many(10, loop_lag_seconds=LAG_SECONDS + 1e-6), sent=1, late=0).saturated


def test_the_warm_up_is_not_judged() -> None:
    warming = [vitals(seconds=seconds, loop_lag_seconds=9.0, loop_cpu_seconds=0.5) for seconds in (-1.0, 0.0, 0.499)]
    generator = judge([*warming, *many(5)], sent=1000, late=0)
    assert not generator.saturated
    assert generator.longest_lag_seconds == pytest.approx(0.001)
    assert generator.cpu_seconds == pytest.approx(1.0)


def test_processes_of_several_runs_are_kept_apart() -> None:
    reports = [{**each, "run": run} for run in (0, 1) for each in many(2)]
    reports[0]["loop_cpu_seconds"] = reports[1]["loop_cpu_seconds"] = 0.49
    generator = judge(reports, sent=1000, late=0)
    assert generator.processes == 2
    assert generator.busiest_share == pytest.approx(0.98)


def test_every_reason_is_given() -> None:
    generator = judge(many(5, loop_cpu_seconds=0.5, loop_lag_seconds=0.5), sent=10, late=5)
    assert generator.reasons == [
        "50.0% of sends were late",
        "its busiest process used 100% of a core",
        "its event loop was blocked for up to 500 ms",
    ]


def test_without_reports_the_generator_is_not_saturated() -> None:
    generator = judge([], sent=0, late=0)
    assert not generator.saturated
    assert (generator.processes, generator.busiest_share, generator.memory_bytes) == (0, 0.0, 0)
