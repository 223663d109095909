from dataclasses import replace
from pathlib import Path

from loadtest.analysis.objective import parse_objective
from loadtest.analysis.summary import summarize
from loadtest.reports.slo import trial_line
from loadtest.trial import Trial, judge
from tests.loadtest.results_files import record, vitals, write_run


def judged(path: Path, packed: list[bytes], *objectives: str) -> Trial:
    """Judges three seconds of a hundred requests each; requests without a record were dropped."""
    reports = [vitals(seconds=3.0, dropped=300 - len(packed))]
    write_run(path, packed, reports=reports, seconds=3.0)
    windows = [summarize([path], between_seconds=(start, start + 1)) for start in range(3)]
    return judge(100.0, summarize([path]), windows, [parse_objective(each) for each in objectives])


def test_a_trial_must_be_met_as_a_whole_and_in_its_windows_and_be_stable(tmp_path: Path) -> None:
    def tried(*latencies: float, answered: float = 1.0) -> Trial:
        """Tries a server with one of these latencies in each window."""
        packed = [record(number / 100, latencies[number // 100]) for number in range(int(300 * answered))]
        return judged(tmp_path / "run.bin", packed, "p99<50ms", "errors<1%")

    assert (tried(0.010, 0.010, 0.010).met, tried(0.010, 0.010, 0.010).windows_met) == (True, 3)
    assert (tried(0.010, 0.060, 0.010).met, tried(0.010, 0.060, 0.010).windows_met) == (False, 2)
    growing = tried(0.010, 0.025, 0.040)
    assert growing.windows_met == 3
    assert growing.troubles == ("not stable: the median grows from 10.0 to 40.0 ms",)
    lost = tried(0.010, 0.010, 0.010, answered=0.9)
    assert not any("not stable" in trouble for trouble in lost.troubles)  # Lost calls are errors, not a queue.
    slow = tried(0.3, 0.3, 0.3)  # Always 30 calls in flight: the queue does not grow.
    assert not any("not stable" in trouble for trouble in slow.troubles)
    assert any(trouble.startswith("not met: errors<1%") for trouble in lost.troubles)


def test_a_growing_queue_is_not_stable_and_errors_are_no_queue(tmp_path: Path) -> None:
    path, objectives = tmp_path / "run.bin", ("p99<5s", "errors<20%")
    # At 100 a second, a server that answers 80: the last of 300 waits for 0.75 s, and 60 are in flight after 3 s.
    growing = [record(number / 100, 0.01 + number / 80 - number / 100) for number in range(300)]
    assert "not stable: a backlog of 600 ms after 3 s" in judged(path, growing, *objectives).troubles
    failing = [record(number / 100, code="INTERNAL" if number % 8 == 0 else "OK") for number in range(300)]
    assert judged(path, failing, *objectives).met


def test_no_rate_at_which_most_requests_fail_meets_objectives(tmp_path: Path) -> None:
    path = tmp_path / "run.bin"
    failing = [record(number / 100, code="OK" if number % 4 == 0 else "INTERNAL") for number in range(300)]
    assert judged(path, failing, "p99<5s").troubles == ("most requests failed: 75.0% did not succeed",)
    assert judged(path, failing, "p99<5s", "errors<80%").met
    saturated = replace(judged(path, failing, "p99<5s"), saturated=True)
    assert not saturated.limited, "a slow generator makes no errors"
    slow = replace(judged(path, [record(number / 100, 0.1) for number in range(300)], "p99<50ms"), saturated=True)
    assert slow.limited


def test_the_progress_of_a_trial_names_its_figures(tmp_path: Path) -> None:
    packed = [record(number / 100, 0.060) for number in range(300)]
    assert trial_line(replace(judged(tmp_path / "run.bin", packed, "p99<50ms"), rate=22.285714)) == (
        "22.29/s: 98.3/s achieved, p50 60.0 ms, p99 60.0 ms, errors 0.00%, 0/3 windows; "
        "not met: p99<50ms (60.03 ms); met in only 0 of 3 windows"
    )
