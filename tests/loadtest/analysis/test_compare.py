from pathlib import Path

import numpy as np
import pytest

from loadtest.analysis.compare import Comparison, Row, compare
from loadtest.analysis.summary import summarize
from loadtest.errors import ResultsError
from loadtest.reports.comparison import comparison_table
from tests.loadtest.results_files import record, write_run

SECONDS, RATE = 20, 100


def make_run(
    path: Path, *, seed: int, slower: float = 1.0, failing: float = 0.0, wrong: float = 0.0, rate: int = RATE
) -> Path:
    """Writes a run with log-normal latencies that differ slightly between seconds and between runs.

    Of its two calls the first has a check, which a share `wrong` of its answers fail.
    """
    random = np.random.default_rng(seed)
    level = slower * np.exp(random.normal(0, 0.03)) * np.exp(random.normal(0, 0.05, SECONDS))
    packed = []
    for number in range(SECONDS * rate):
        planned = number / rate
        latency = 0.010 * float(level[int(planned)]) * float(np.exp(random.normal(0, 0.3)))
        code = "INTERNAL" if random.random() < failing else "OK"
        call, stages = number % 2, (0.0, 0.0, latency / 2, 0.0, 0.0)
        failed = int(code == "OK" and not call and random.random() < wrong)
        packed.append(record(planned, latency, code=code, call=call, failed_checks=failed, stages=stages))
    calls = [{"method": "a.A/A", "checks": ["size(hits) > 0"]}, {"method": "a.A/B"}]
    return write_run(path, packed, seconds=float(SECONDS), calls=calls)


def runs(folder: Path, name: str, seeds: range, **options: float) -> list[Path]:
    return [make_run(folder / f"{name}{seed}.bin", seed=seed, **options) for seed in seeds]  # type: ignore[arg-type]


def compared(a: list[Path], b: list[Path]) -> Comparison:
    return compare([summarize([path]) for path in a], [summarize([path]) for path in b])


def row(comparison: Comparison, name: str) -> Row:
    return next(each for each in comparison.rows if each.name == name)


def test_a_slower_side_differs_beyond_noise(tmp_path: Path) -> None:
    comparison = compared(runs(tmp_path, "a", range(3)), runs(tmp_path, "b", range(10, 13), slower=1.5))
    for name in ("latency p50", "latency p99", "encode, mean"):
        found = row(comparison, name)
        assert found.worse
        assert found.ratio == pytest.approx(1.5, rel=0.15)
        assert found.low < 1.5 < found.high
    assert not row(comparison, "achieved rate").beyond_noise
    assert (comparison.repeats, comparison.seconds, comparison.caution) == ((3, 3), (60, 60), "")


def test_errors_and_a_lower_rate_are_worse(tmp_path: Path) -> None:
    comparison = compared(runs(tmp_path, "a", range(3)), runs(tmp_path, "b", range(10, 13), failing=0.2))
    errors = row(comparison, "errors")
    assert errors.worse
    assert errors.worse_by() == pytest.approx(0.2, abs=0.03)
    rate = row(comparison, "achieved rate")
    assert rate.worse
    assert rate.worse_by() == pytest.approx(0.2, abs=0.03)


def test_a_rate_that_falls_to_nothing_is_worse_and_one_that_rises_from_it_is_better(tmp_path: Path) -> None:
    works, fails = runs(tmp_path, "a", range(3)), runs(tmp_path, "b", range(10, 13), failing=1.0)
    fallen, risen = (row(compared(*sides), "achieved rate") for sides in ((works, fails), (fails, works)))
    assert fallen.worse
    assert fallen.ratio == 0
    assert fallen.worse_by() == pytest.approx(1)
    assert risen.beyond_noise
    assert not risen.worse
    [cells] = [cells for cells in comparison_table(compared(fails, works)).rows if cells[0] == "achieved rate"]
    assert cells[-4:] == ("-", "-", "-", "better")


def test_more_failed_checks_are_worse(tmp_path: Path) -> None:
    comparison = compared(runs(tmp_path, "a", range(3)), runs(tmp_path, "b", range(10, 13), wrong=0.2))
    failed = row(comparison, "failed checks")
    assert failed.a == 0
    assert failed.b == pytest.approx(0.2, abs=0.03), "of the answers of the call with a check"
    assert failed.worse
    assert not row(comparison, "errors").beyond_noise


def test_runs_without_checks_are_compared_by_their_other_figures(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a.bin", [record(number / 10) for number in range(100)])
    assert "failed checks" not in [each.name for each in compared([path], [path]).rows]


def test_one_run_of_each_side_is_compared_with_caution(tmp_path: Path) -> None:
    comparison = compared(runs(tmp_path, "a", range(1)), runs(tmp_path, "b", range(1, 2)))
    assert "fewer than 3 repeats" in comparison.caution


def test_a_run_is_equal_to_itself(tmp_path: Path) -> None:
    path = make_run(tmp_path / "a.bin", seed=1)
    for each in compared([path], [path]).rows:
        assert each.ratio == each.neutral
        assert not each.beyond_noise


def test_a_short_run_is_rejected(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a.bin", [record(number / 10) for number in range(30)], seconds=3.0)
    with pytest.raises(ResultsError, match="has 3 whole seconds; a comparison needs at least 5"):
        compared([path], [path])
