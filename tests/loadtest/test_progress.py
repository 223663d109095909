import io
import math
import time
from typing import Any

import pytest

from loadtest import progress as module
from loadtest.plan import Call, Plan
from loadtest.progress import Progress, TerminalProgress
from loadtest.requests.method import Method
from loadtest.requests.queries import Query
from loadtest.schedule import constant
from loadtest.target import Target
from tests.loadtest.results_files import record, vitals

TARGET = Target(address="127.0.0.1:1")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def make(method: Method, **changes: Any) -> Progress:
    given: dict[str, Any] = {"schedule": constant(10), "seconds": 5.0, "warm_up_seconds": 2.0}
    return Progress(Plan(target=TARGET, calls=(Call(method=method),), queries=(Query("0", {}),), **(given | changes)))


def test_outcomes_are_counted_without_the_warm_up(method: Method) -> None:
    progress = make(method)
    progress.add(record(-1.0) + record(-0.5, code="INTERNAL") + record(0.0) + record(0.1, code="UNAVAILABLE"))
    progress.add(record(0.2, code="RESOURCE_EXHAUSTED") + record(0.3))
    assert (progress.answered, progress.errors, progress.refused) == (4, 1, 1)


def test_the_last_report_of_each_worker_counts(method: Method) -> None:
    progress = make(method)
    for worker, dropped, in_flight in ((0, 1, 9), (1, 10, 3), (0, 2, 5)):
        progress.note(vitals(process=worker, dropped=dropped, in_flight=in_flight))
    assert (progress.dropped, progress.in_flight) == (12, 8)


def test_rate_and_p99_are_those_of_the_last_window(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW_SECONDS", 0.02)
    progress = make(method)
    assert math.isnan(progress.p99_seconds)
    time.sleep(0.025)
    progress.add(b"".join(record(0.0, latency=5.0) for _ in range(100)))
    progress.tick()
    assert progress.p99_seconds == pytest.approx(5.0)
    assert 0 < progress.rate <= 100 / 0.02
    time.sleep(0.025)
    progress.add(b"".join(record(1.0, latency=number / 1000) for number in range(1, 101)))
    progress.tick()
    assert progress.p99_seconds == pytest.approx(0.099, abs=0.001)
    assert progress.answered == 200
    time.sleep(0.025)
    progress.add(record(-1.0))  # This window has only warm-up: no figures.
    progress.tick()
    assert progress.rate == 0
    assert math.isnan(progress.p99_seconds)


def test_the_line_shows_the_progress(method: Method) -> None:
    progress = make(method)
    assert progress.line() == "warming up, 2 s to go"
    progress.seconds = 2.0
    progress.add(record(0.0) + record(0.0, code="INTERNAL") + record(0.0, code="RESOURCE_EXHAUSTED"))
    line = progress.line()
    for part in ("3 s left", "p99 -", "answered 3", "errors 1", "refused 1", "in flight 0"):
        assert part in line
    assert "dropped" not in line
    progress.note(vitals(dropped=1234, in_flight=2))
    assert "dropped 1,234" in progress.line()
    progress.seconds = 5.5
    assert "waiting for the last answers" in progress.line()
    without_duration = make(method, seconds=math.inf, count=2000, warm_up_seconds=0.0)
    without_duration.add(record(0.0))
    assert "1,999 left" in without_duration.line()


def test_a_terminal_shows_one_line_that_is_overwritten(method: Method) -> None:
    terminal, progress = Terminal(), make(method)
    show = TerminalProgress(terminal)
    progress.seconds = 1.0
    show(progress)
    longest = len(progress.line())
    progress.seconds = -1.0
    show(progress)
    shorter = progress.line()
    show.clear()
    written = terminal.getvalue()
    assert "\n" not in written
    assert written.split("\r")[2] == shorter.ljust(longest)
    assert written.endswith("\r" + " " * len(shorter) + "\r")


def test_nothing_is_printed_without_a_terminal(method: Method) -> None:
    stream = io.StringIO()
    show = TerminalProgress(stream)
    show(make(method))
    show.clear()
    assert stream.getvalue() == ""
