import time

import pytest

from server.http.pages import sampler as sampler_module
from server.http.pages.sampler import KEPT_SAMPLES, SAMPLE_SECONDS, WINDOW_SAMPLES, Sampler, sampling
from tests.integration.serving import wait_until
from tests.server.http.pages.observing import OK, RESOURCE_EXHAUSTED, SEARCH_PATH, end_calls, new_metrics


def test_a_sampler_keeps_the_last_15_minutes() -> None:
    assert KEPT_SAMPLES * SAMPLE_SECONDS == 15 * 60
    metrics = new_metrics()
    sampler = Sampler(metrics.registry)
    assert (sampler.figures, sampler.series) == (None, {})
    for number in range(KEPT_SAMPLES + 20):
        end_calls(metrics, SEARCH_PATH, code=OK if number < 190 else RESOURCE_EXHAUSTED, seconds=0.004)
        sampler.sample()
    assert {len(values) for values in sampler.series.values()} == {KEPT_SAMPLES}
    # Every sample saw one call. The first 20 have left.
    assert sampler.codes == {"OK": 170, "ResourceExhausted": 10}
    assert sampler.reasons == {"OVERLOADED": 10}


def test_the_figures_cover_the_last_minute() -> None:
    metrics = new_metrics()
    sampler = Sampler(metrics.registry)
    end_calls(metrics, SEARCH_PATH, code=OK, seconds=0.004)
    seen = []
    for _ in range(WINDOW_SAMPLES + 2):
        sampler.sample()
        assert sampler.figures is not None
        seen.append(sampler.figures.calls_per_second > 0)
    assert seen == [True] * (WINDOW_SAMPLES) + [False] * 2


def test_sampling_takes_samples_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler_module, "SAMPLE_SECONDS", 0.01)
    metrics = new_metrics()
    with sampling(metrics.registry) as sampler:
        wait_until(lambda: len(sampler.series.get("at", [])) >= 3)
    ended = len(sampler.series["at"])
    time.sleep(0.05)
    assert len(sampler.series["at"]) == ended


def test_a_sample_that_fails_does_not_end_the_sampling(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sampler_module, "SAMPLE_SECONDS", 0.01)
    metrics, failing = new_metrics(), True

    def queue_texts() -> float:
        if failing:
            raise OSError("no figure")
        return 7.0

    with sampling(metrics.registry) as sampler:
        metrics.workers.queue_texts.set_function(queue_texts)
        wait_until(lambda: len(caplog.records) >= 2)
        failing = False
        wait_until(lambda: 7.0 in sampler.series.get("queue_texts", []))
    assert {record.message for record in caplog.records} == {"a sample of the metrics failed"}
