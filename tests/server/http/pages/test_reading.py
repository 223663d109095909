import math

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from server.http.pages.reading import Reading, Window, quantile


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, 0.0),
        (0.25, 0.05),  # 5 of 20 are in the first bucket, which has 10: half of its width.
        (0.5, 0.1),
        (0.75, 0.15),
        (0.95, 0.2),
        (0.96, 0.2),  # Above the last finite bound.
        (1.0, 0.2),
    ],
)
def test_quantiles_interpolate_within_buckets(share: float, expected: float) -> None:
    buckets = [(0.1, 10.0), (0.2, 19.0), (math.inf, 20.0)]
    assert quantile(share, buckets) == pytest.approx(expected, abs=0.007)


def test_empty_buckets_have_no_quantile() -> None:
    assert quantile(0.5, []) is None
    assert quantile(0.5, [(0.1, 0.0), (math.inf, 0.0)]) is None


def test_a_window_has_only_what_happened_in_it() -> None:
    registry = CollectorRegistry()
    calls = Counter("calls_total", "", ["method", "code"], registry=registry)
    seconds = Histogram("seconds", "", ["method"], buckets=(1, 2, 4), registry=registry)
    Gauge("model_info", "", ["name", "revision"], registry=registry).labels("tiny", "r1").set(1)
    calls.labels("a", "OK").inc(5)
    seconds.labels("a").observe(3.5)
    first = Reading.of(registry)._replace(at=100.0)
    calls.labels("a", "OK").inc(20)
    calls.labels("b", "OK").inc(1)  # A series that is new.
    for each in (0.5, 1.5, 1.5, 1.5):
        seconds.labels("a").observe(each)
    last = Reading.of(registry)._replace(at=110.0)
    window = Window(first, last)
    assert window.rate("calls_total", "a", "OK") == 2.0
    assert window.increases("calls_total") == {("a", "OK"): 20.0, ("b", "OK"): 1.0}
    assert window.mean("seconds", "a") == pytest.approx(1.25)
    assert window.buckets("seconds", "a") == [(1.0, 1.0), (2.0, 4.0), (4.0, 4.0), (math.inf, 4.0)]
    assert window.quantile(0.625, "seconds", "a") == pytest.approx(1.5)
    assert window.mean("seconds", "b") is None
    assert last.info("model_info") == {"name": "tiny", "revision": "r1"}
    assert math.isnan(last.value("unknown"))
    assert last.info("unknown") == {}
