import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.analysis.figures import FIGURES
from loadtest.analysis.objective import goodput_bound, judge_objectives, parse_objective
from loadtest.analysis.summary import Summary, summarize
from loadtest.errors import UsageError
from tests.loadtest.results_files import record, vitals, write_run


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    stages = (0.001, 0.0, 0.004, 0.0, 0.0)
    packed = [record(number / 100, 0.001 * (number % 100 + 1), stages=stages, batch_texts=1) for number in range(900)]
    packed += [record(number / 100, 0.5, code="RESOURCE_EXHAUSTED") for number in range(60)]
    packed += [record(number / 100, 0.5, code="INTERNAL") for number in range(30)]
    path = tmp_path_factory.mktemp("objectives") / "run.bin"
    return summarize([write_run(path, packed, reports=[vitals(seconds=10.0, dropped=10)])], within_seconds=0.05)


@pytest.mark.parametrize(
    ("text", "value", "met"),
    [
        ("p50<51ms", 0.050, True),
        ("p50<50us", 0.050, False),
        ("p99.9 <= 0.2 s", 0.100, True),
        ("max>1s", 0.100, False),
        ("mean<60ms", 0.0505, True),
        ("refused.p99<1s", 0.5, True),
        ("encode.p50>=3.9ms", 0.004, True),
        ("server.max<6ms", 0.005, True),
        ("service.p50<51ms", 0.050, True),
        ("errors<10.1%", 0.1, True),
        ("errors<0.1%", 0.1, False),
        ("errors<0.2", 0.1, True),
        ("refused<7%", 0.06, True),
        ("dropped<0.5%", 0.01, False),
        ("rate>80", 90.0, True),
        ("rate>80/s", 90.0, True),
        ("goodput>40", 45.0, True),
        ("offered>=100", 100.0, True),
        ("recall>0.1", math.nan, False),
        ("different<1%", math.nan, False),
        ("failed_checks<1%", math.nan, False),
    ],
)
def test_objectives_are_checked_against_a_summary(summary: Summary, text: str, value: float, met: bool) -> None:
    [verdict] = judge_objectives([parse_objective(text)], summary)
    assert verdict.value == pytest.approx(value, rel=0.01, nan_ok=True)
    assert verdict.met is met
    assert verdict.line().startswith("met: " if met else "not met: ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p99", "is not an objective"),
        ("p99<", "is not an objective"),
        ("p99=5ms", "is not an objective"),
        ("p99<50", "a latency needs a unit"),
        ("p99<50%", "a latency needs a unit"),
        ("p101<5ms", "there is no figure p101"),
        ("latency<5ms", "there is no figure latency"),
        ("Search.latency<5ms", "there is no figure latency"),
        ("Search.p99<5", "a latency needs a unit"),
        ("Search.dropped<1%", "dropped exists for all calls together, not for one"),
        ("Search.recall>0.5", "recall exists for all calls together, not for one"),
        ("service.errors<5%", r"there is no figure service\.errors"),
        ("errors<5ms", "errors is a share"),
        ("errors<1", r"errors is a share, from 0 to 1: write errors<1% for percent"),
        ("errors<=1", r"write errors<=1% for percent"),
        ("Search.errors<=5", r"errors is a share, from 0 to 1: write errors<=5% for percent"),
        ("recall>=90", r"recall is a share, from 0 to 1: write recall>=90% for percent"),
        ("errors<150%", "errors is a share, from 0 to 1"),
        ("rate>5%", "rate is a number"),
    ],
)
def test_an_invalid_objective_is_rejected(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_objective(text)


@given(st.floats(0, 100, allow_nan=False), st.integers(1, 9999))
def test_every_percentile_can_be_named(percent: float, milliseconds: int) -> None:
    objective = parse_objective(f"p{percent:.3f}<{milliseconds}ms")
    assert objective.bound == pytest.approx(milliseconds / 1e3)


def test_the_tightest_latency_bounds_goodput() -> None:
    texts = ["p99<50ms", "p50<20ms", "service.p50<1ms", "encode.p50<1ms", "p50>3ms", "errors<1%"]
    assert goodput_bound([parse_objective(text) for text in texts]) == pytest.approx(0.020)
    assert goodput_bound([parse_objective("errors<1%")]) is None


def test_a_run_without_refused_calls_meets_objectives_on_them(tmp_path: Path) -> None:
    summary = summarize([write_run(tmp_path / "run.bin", [record()])])
    met, not_met = (
        judge_objectives([parse_objective(f"refused.p99{bound}")], summary)[0] for bound in ("<1ms", ">1ms")
    )
    assert met.met
    assert not not_met.met


def test_every_figure_can_be_named(summary: Summary) -> None:
    for name in FIGURES:
        [verdict] = judge_objectives([parse_objective(f"{name}>=0")], summary)
        assert verdict.met or math.isnan(verdict.value)


MIX = [
    {"method": "chaja.v1.SearchService/Search", "checks": ["size(hits) > 0", "true"]},
    {"method": "chaja.v1.SearchService/BatchSearch"},
    {"method": "chaja.v1.SearchService/Search", "name": "short", "checks": ["size(hits) > 0"]},
    {"method": "shop.Orders/get"},
    {"method": "shop.Orders/get"},
]


@pytest.fixture
def mixed(tmp_path: Path) -> Summary:
    stages = (0.001, 0.0, 0.004, 0.0, 0.0)
    packed = []
    for call in range(5):
        packed += [
            record(
                number / 10, 0.010 * (call + 1), call=call, stages=stages, failed_checks=int(call == 0 and number < 20)
            )
            for number in range(100)
        ]
    packed += [record(number / 10, 0.5, call=1, code="INTERNAL") for number in range(25)]
    return summarize([write_run(tmp_path / "mix.bin", packed, reports=[vitals(seconds=10.0, dropped=5)], calls=MIX)])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("chaja.v1.SearchService/Search.p99<11ms", 0.010),
        ("Search.p99<11ms", 0.010),
        ("SearchService/BatchSearch.p99<50ms", 0.020),
        ("short.p99<50ms", 0.030),
        ("get(4).p50<50ms", 0.040),
        ("get (5).p50 < 60 ms", 0.050),
        ("BatchSearch.service.mean<50ms", 0.020),
        ("BatchSearch.encode.max<50ms", 0.004),
        ("BatchSearch.errors<21%", 26 / 126),  # Of the five dropped requests, one is its share.
        ("short.rate>9", 10.0),
        ("short.failed_checks<1%", 0.0),
        ("Search.failed_checks<21%", 0.2),
        ("failed_checks<11%", 0.1),
    ],
)
def test_an_objective_may_be_about_one_call(mixed: Summary, text: str, value: float) -> None:
    [verdict] = judge_objectives([parse_objective(text)], mixed)
    assert verdict.value == pytest.approx(value, rel=0.01)
    assert verdict.met
    assert verdict.line().startswith(f"met: {text} (")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Encode.p99<5ms", "no call is named Encode; the calls are chaja"),
        ("nothing.p99<5ms", "no call is named nothing"),
        ("get.p99<5ms", r"no call is named get; .* shop\.Orders/get \(4\), shop\.Orders/get \(5\)"),
    ],
)
def test_an_objective_about_an_unknown_call_is_rejected(mixed: Summary, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        judge_objectives([parse_objective(text)], mixed)


def test_dropped_and_lost_requests_are_errors_of_each_call_in_proportion(tmp_path: Path) -> None:
    packed = [record(number / 10, call=int(number % 4 == 0)) for number in range(100)]
    options: dict[str, Any] = {"reports": [vitals(dropped=60)], "end": {"partial": "it died", "lost": 40}}
    summary = summarize([write_run(tmp_path / "mix.bin", packed, calls=MIX, **options)])
    for text in ("errors<49%", "Search.errors<49%", "BatchSearch.errors<49%"):
        [verdict] = judge_objectives([parse_objective(text)], summary)
        assert (verdict.met, verdict.value) == (False, 0.5)


def test_an_empty_part_of_a_run_has_no_value_for_a_call(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run.bin", [record(1.0)], calls=MIX)
    empty = summarize([path], between_seconds=(5.0, 6.0))
    [verdict] = judge_objectives([parse_objective("Search.p99<5ms")], empty)
    assert math.isnan(verdict.value)


def test_an_objective_about_one_call_does_not_bound_goodput() -> None:
    assert goodput_bound([parse_objective("Search.p99<5ms")]) is None


@given(st.text("aS1./() p9<%ms>=", max_size=15))
def test_any_text_is_an_objective_or_refused_in_one_line(text: str) -> None:
    lines = 1
    try:
        parse_objective(text)
    except UsageError as error:
        lines = str(error).count("\n") + 1
    assert lines == 1
