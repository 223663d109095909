import logging

import pytest

from server.logs.dropped import DROPPED, Dropped
from server.logs.rate import Rate, RepeatedLine


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("server.logs.rate.time.monotonic", lambda: now[0])
    return now


def test_lines_above_the_rate_are_counted_in_the_next_line(clock: list[float]) -> None:
    rate = Rate(lines=2, seconds=10)
    assert [rate.allow() for _ in range(5)] == [0, 0, None, None, None]
    clock[0] = 9.9
    assert rate.allow() is None
    clock[0] = 10.0
    assert [rate.allow() for _ in range(3)] == [4, 0, None]


def test_keys_have_separate_rates(clock: list[float]) -> None:
    rate = Rate(lines=1, seconds=10)
    assert [rate.allow(key) for key in "abab"] == [0, 0, None, None]


def test_lines_above_the_rate_are_counted_for_the_metric(clock: list[float]) -> None:
    counts: list[float] = []
    DROPPED.deliver(counts.append)
    counts.clear()
    rate = Rate(lines=1, seconds=10)
    for _ in range(4):
        rate.allow()
    DROPPED.deliver(lambda _: None)
    assert sum(counts) == 3


def test_what_was_dropped_before_the_metric_existed_is_delivered() -> None:
    dropped, counts = Dropped(), list[float]()
    dropped.add(2)
    dropped.deliver(counts.append)
    dropped.add()
    assert counts == [2, 1]


def test_a_repeated_line_shows_the_number_of_events_once_a_minute(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    line = RepeatedLine(logging.getLogger("test_rate"), "%d events")
    for second in range(120):
        clock[0] = second
        line.add()
    assert caplog.messages == ["1 events", "61 events"]
