import math
from pathlib import Path

import pytest

from benchmarks.serving.__main__ import MEASUREMENTS, measure
from benchmarks.serving.figure import Figure
from benchmarks.serving.setting import Setting
from benchmarks.serving.soak import soak

pytestmark = [pytest.mark.slow, pytest.mark.alone]

NAMES_WITH_BARS = {"throughput", "outside", "load", "overload", "idle", "loss", "swaps", "start"}


@pytest.fixture(scope="module")
def setting(tiny_bundle: Path) -> Setting:
    return Setting(bundle=tiny_bundle, seconds=1, repeats=1, requests=200, swaps=3)


def test_every_measurement_prints_its_figures(setting: Setting, capsys: pytest.CaptureFixture[str]) -> None:
    figures = measure(setting, list(MEASUREMENTS))
    printed = capsys.readouterr().out
    assert {name for name, of in figures.items() if any(each.bar for each in of)} >= NAMES_WITH_BARS
    for name, of in figures.items():
        assert of, name
        for each in of:
            assert str(each) in printed
            # A server that is never overloaded refuses nothing.
            assert all(math.isfinite(value) or "refus" in each.name for value in each.values), each
    value = {name: {each.name: each.median for each in of} for name, of in figures.items()}
    assert value["throughput"]["server"] > 100
    assert value["throughput"]["searches that failed"] == 0
    assert 0 < value["throughput"]["the generator took"] < 2
    assert 0 < value["outside"]["CPU of the server for a search"] < 10
    assert value["load"]["p50"] <= value["load"]["p99"]
    assert value["loss"]["failed"] == value["loss"]["wrong"] == 0
    assert value["loss"]["swaps of the bundle"] == 5
    assert value["swaps"]["swaps"] == 3
    assert value["swaps"]["refused"] == value["swaps"]["failed"] == 0
    assert value["swaps"]["p99 of the worst second"] > 0
    assert 0 < value["start"]["from exec to SERVING, warm"] < 30
    assert 0 < value["start"]["from exec to SERVING, cold"] < 30
    assert 0 < value["start"]["resident memory"] < 1000


def test_a_soak_prints_its_figures_and_calls_in_every_way(setting: Setting) -> None:
    figures = {each.name: each for each in soak(setting, seconds=3, reload_seconds=1)}
    assert figures["unexpected"].median == 0, figures["unexpected"]
    assert figures["faults in the log"].median == 0
    assert figures["exit code"].median == 0
    for kind in ("batch", "cancelled", "connection", "dropped", "invalid", "reload", "stream"):
        assert kind in figures["calls"].note


@pytest.mark.parametrize(("values", "missed"), [((1.0, 5.0, 3.0), False), ((1.0, 5.0, 5.0), True), ((math.nan,), True)])
def test_the_median_of_a_figure_is_held_to_its_bar(values: tuple[float, ...], missed: bool) -> None:
    assert Figure(name="one", values=values, at_most=4).missed is missed
