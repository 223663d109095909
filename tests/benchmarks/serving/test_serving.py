import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serving.__main__ import MEASUREMENTS, measure
from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peaks
from benchmarks.serving.setting import Setting
from benchmarks.serving.soak import soak

pytestmark = pytest.mark.slow

WITHOUT_TARGETS = {"limit", "memory"}
CHECKS: dict[str, Callable[[dict[str, float]], bool]] = {
    "throughput": lambda found: found["server"] > 100 and 0 < found["the generator took"] < 2,
    "outside": lambda found: 0 < found["CPU of the server for a search"] < 10,
    "metrics": lambda found: (
        0 < found["CPU of the server for a search with its vector in the cache"] < 10
        and 0 < found["a scrape of a server idle, p50"] <= found["a scrape of a server idle, slowest"] < 5000
    ),
    "understanding": lambda found: 0 < found["dense, one search at a time, p50"] < 1000,
    "load": lambda found: found["p50"] <= found["p99"],
    "loss": lambda found: found["failed"] == found["wrong"] == 0 and found["swaps of the bundle"] == 3,
    "swaps": lambda found: found["swaps"] == 3 and found["failed"] == 0,
    "memory": lambda found: 50 < found["0 documents: resident memory"] < found["200 documents: most memory"] < 1000,
    "start": lambda found: 0 < found["from exec to SERVING, warm"] < 60 and 0 < found["resident memory"] < 1000,
}
"""Conditions on the figures of some measurements; all figures must also be finite."""


@pytest.fixture(scope="module")
def setting(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    few: dict[str, Any] = {"seconds": 1, "repeats": 1, "requests": 200, "callers": 4, "changes": 4, "swaps": 3}
    return Setting(bundle=tiny_bundle, documents=(0, 200), kept=tmp_path_factory.mktemp("kept"), **few)


@pytest.fixture(scope="module")
def peaks(setting: Setting) -> Peaks:
    return Peaks(setting)


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_every_measurement_prints_its_figures(
    setting: Setting, peaks: Peaks, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = measure(setting, peaks, [name])[name]
    printed = capsys.readouterr().out
    for each in figures:
        assert str(each) in printed
        # Figures of refused calls are NaN if the server refused none.
        assert all(math.isfinite(value) or "refus" in each.name for value in each.values), each
    assert any(each.target for each in figures) is (name not in WITHOUT_TARGETS)
    found = {each.name: each.median for each in figures}
    assert CHECKS.get(name, bool)(found), found


def test_a_soak_prints_its_figures_and_makes_every_kind_of_call(setting: Setting) -> None:
    figures = {each.name: each for each in soak(setting, seconds=3, reload_seconds=1)}
    assert figures["unexpected"].median == 0, figures["unexpected"]
    assert figures["faults in the log"].median == 0
    assert figures["exit code"].median == 0
    for kind in ("batch", "cancelled", "connection", "dropped", "invalid", "reload", "stream"):
        assert kind in figures["calls"].note


@pytest.mark.parametrize(("values", "missed"), [((1.0, 5.0, 3.0), False), ((1.0, 5.0, 5.0), True), ((math.nan,), True)])
def test_the_median_of_a_figure_is_compared_with_its_target(values: tuple[float, ...], missed: bool) -> None:
    assert Figure(name="one", values=values, at_most=4).missed is missed
