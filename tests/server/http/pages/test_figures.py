import math

import pytest

from server.http.pages.figures import codes_of, figures_of, gauges_of, reasons_of
from server.http.pages.reading import Reading
from server.stages import Stopwatch
from tests.server.http.pages.observing import (
    ENCODE_PATH,
    INTERNAL,
    INVALID_ARGUMENT,
    OK,
    RESOURCE_EXHAUSTED,
    SEARCH_PATH,
    Observed,
    end_calls,
    new_metrics,
)


def test_the_figures_of_calls_and_queries_of_streams() -> None:
    metrics = new_metrics()
    end_calls(metrics, SEARCH_PATH, code=OK, seconds=9.0, count=50)  # Before the window.
    observed = Observed(metrics)
    end_calls(metrics, SEARCH_PATH, code=OK, seconds=0.004, count=90)
    end_calls(metrics, SEARCH_PATH, code=OK, seconds=0.2, count=4)
    end_calls(metrics, SEARCH_PATH, code=RESOURCE_EXHAUSTED, seconds=0.0001, count=6)
    end_calls(metrics, ENCODE_PATH, code=INVALID_ARGUMENT, seconds=0.001, count=10)
    metrics.calls.end_stream_query(INTERNAL, None)
    for _ in range(9):
        metrics.calls.end_stream_query(OK, None)
    window = observed.window()
    figures = figures_of(window)
    assert figures.calls_per_second == pytest.approx(12.0)
    assert [figures.refused_per_second, figures.failed_per_second] == pytest.approx([0.6, 0.1])
    assert [figures.refused_share, figures.failed_share] == pytest.approx([6 / 120, 1 / 120])
    assert figures.within_objective_share == pytest.approx(0.96)
    assert figures.latency_objective_seconds == 0.1
    search, encode = figures.methods
    assert (search.service, search.method) == ("SearchService", "Search")
    assert [search.calls_per_second, search.refused_share, search.failed_share] == pytest.approx([10.0, 0.06, 0])
    assert (encode.method, encode.refused_share) == ("Encode", 0)
    assert figures.search.p50_seconds is not None
    assert 0.0025 < figures.search.p50_seconds < 0.005  # The bucket of 4 ms.
    assert figures.search.p99_seconds is not None
    assert 0.1 < figures.search.p99_seconds <= 0.25
    assert codes_of(window)["OK"] == 103
    assert reasons_of(window) == {"OVERLOADED": 6}


def test_the_figures_of_stages_batches_caches_and_results() -> None:
    metrics = new_metrics()
    observed = Observed(metrics)
    stopwatch = Stopwatch()
    stopwatch.seconds = {"tokenize": 0.001, "queue": 0.002, "encode": 0.006, "search": 0.001}
    metrics.searches.observe_stages(stopwatch)
    for texts in (1, 3):
        metrics.workers.batch_texts.observe(texts)
        metrics.workers.batch_tokens.observe(10 * texts)
    metrics.caches.vector_hits.inc(2)
    metrics.caches.vectors_shared.inc()
    metrics.caches.vector_misses.inc()
    metrics.searches.answer(hits=3, no_good_answer=False)
    metrics.searches.answer(hits=3, no_good_answer=True)
    metrics.searches.answer(hits=0, no_good_answer=True)
    metrics.searches.answer(hits=1, no_good_answer=False)
    figures = figures_of(observed.window())
    stages = {each.stage: each for each in figures.stages}
    assert list(stages) == ["tokenize", "queue", "encode", "search", "fetch"]
    assert stages["encode"].mean_seconds == pytest.approx(0.006)
    assert stages["encode"].share == pytest.approx(0.6)
    assert stages["encode"].percentiles.p50_seconds is not None
    assert stages["fetch"].mean_seconds is None
    assert (figures.batch_texts, figures.batch_tokens) == (2.0, 20.0)
    assert figures.cache_share == pytest.approx(0.75)
    assert figures.hit_cache_share is None
    assert figures.searches_per_second == pytest.approx(0.4)
    assert (figures.no_hits_share, figures.no_good_answer_share) == (0.25, 0.25)


def test_without_calls_shares_and_percentiles_are_unknown() -> None:
    figures = figures_of(Observed(new_metrics()).window())
    assert (figures.calls_per_second, figures.methods) == (0, [])
    unknown = (figures.refused_share, figures.failed_share, figures.within_objective_share, figures.batch_texts)
    assert unknown == (None,) * 4
    assert figures.search.p99_seconds is None


def test_the_present_values() -> None:
    metrics = new_metrics()
    before = gauges_of(Reading.of(metrics.registry))
    assert (before.model, before.documents) == ({}, 0)
    metrics.process.describe_model(name="tiny", revision="r1", quantization="int8", encoder="native")
    metrics.index.recall["search"].set(0.97)
    metrics.index.documents.set(224)
    after = gauges_of(Reading.of(metrics.registry))
    assert after.model == {"name": "tiny", "revision": "r1", "quantization": "int8", "encoder": "native"}
    assert (after.recall, after.documents, after.workers) == (0.97, 224, 2)
    assert not math.isnan(after.started_at)
