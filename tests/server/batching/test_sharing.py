"""Tests that equal texts are encoded once: they share a cached vector or the encoding in flight."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from server.batching.job import Job
from server.batching.pipeline import SHORT_CHARACTERS, Pipeline
from server.encoding.kind import TextKind
from server.errors import DeadlinePassed, EncodingFailed, UnfitText
from server.metrics import Metrics
from server.ranking.options import SearchOptions
from tests.server.making import Outcomes, WatchedBundle, expire, found_by, held, make_job

NewPipeline = Callable[..., Pipeline]


async def start(pipeline: Pipeline, *jobs: Job) -> list[asyncio.Task[Outcomes]]:
    tasks = [asyncio.create_task(pipeline.run([job])) for job in jobs]
    await asyncio.sleep(0.01)
    return tasks


def bytes_of(job: Job) -> bytes:
    assert job.vector is not None
    return job.vector.tobytes()


async def test_a_cache_hit_gives_the_same_vector_and_hits(
    watched: WatchedBundle, new_pipeline: NewPipeline, metrics: Metrics
) -> None:
    pipeline = new_pipeline(cache_bytes=1_000_000)
    first, again, encoded = (
        make_job("환율", options=SearchOptions(3)),
        make_job("환율", options=SearchOptions(3)),
        make_job("환율"),
    )
    for job in (first, again, encoded):
        assert await pipeline.run([job]) == [None]
    assert watched.times_encoded("환율") == 1
    assert found_by(first) == found_by(again) != []
    assert bytes_of(first) == bytes_of(again) == bytes_of(encoded)
    assert [job.tokens and job.tokens.whole_count for job in (first, again)] == [2, 2]
    assert "encode" not in again.stopwatch.seconds
    value = metrics.registry.get_sample_value
    assert [value("chaja_cache_lookups_total", {"result": each}) for each in ("hit", "miss", "shared")] == [2, 1, 0]


async def test_documents_and_their_examples_are_not_cached(
    watched: WatchedBundle, new_pipeline: NewPipeline, metrics: Metrics
) -> None:
    pipeline = new_pipeline(cache_bytes=1_000_000)
    for _ in range(2):
        await pipeline.run([make_job("환율", kind=TextKind.TEXT)])
        await pipeline.run([make_job("환율", cached=False)])
    assert watched.times_encoded("환율") == 4
    assert metrics.registry.get_sample_value("chaja_cache_lookups_total", {"result": "miss"}) == 0


async def test_the_cached_vector_of_a_cut_text_is_used_only_where_cutting_is_allowed(
    watched: WatchedBundle, new_pipeline: NewPipeline
) -> None:
    pipeline = new_pipeline(cache_bytes=1_000_000)
    assert await pipeline.run([make_job("y" * 70, truncate=True)]) == [None]
    (outcome,) = await pipeline.run([make_job("y" * 70)])
    assert isinstance(outcome, UnfitText)


@pytest.mark.parametrize("cache_bytes", [0, 1_000_000])
async def test_identical_texts_in_flight_are_encoded_once(
    watched: WatchedBundle, cache_bytes: int, new_pipeline: NewPipeline, metrics: Metrics
) -> None:
    pipeline = new_pipeline(cache_bytes=cache_bytes)
    busy = await held(pipeline, watched)
    jobs = [make_job("환율", options=SearchOptions(2), bulk=number > 2) for number in range(5)]
    tasks = await start(pipeline, *jobs)
    watched.gate.set()
    assert await asyncio.gather(busy, *tasks) == [[None]] * 6
    assert watched.times_encoded("환율") == 1
    assert len({bytes_of(job) for job in jobs}) == 1
    assert all(found_by(job) == found_by(jobs[0]) != [] for job in jobs)
    assert metrics.registry.get_sample_value("chaja_cache_lookups_total", {"result": "shared"}) == 4


async def test_a_query_that_waited_for_an_equal_one_does_not_wait_again(
    watched: WatchedBundle, new_pipeline: NewPipeline
) -> None:
    pipeline = new_pipeline(workers=1, max_batch_tokens=1)
    busy = await held(pipeline, watched)
    answered: list[asyncio.Future[None]] = []
    jobs = [make_job(text) for text in ("환율", "환율", *map(str, range(200)))]
    for job in jobs:
        job.done.add_done_callback(answered.append)
    tasks = await start(pipeline, *jobs)
    watched.gate.set()
    await asyncio.gather(busy, *tasks)
    assert answered[0] is jobs[0].done
    assert jobs[1].done in answered[1:-1]


@pytest.mark.parametrize("fate", ["cancelled", "expired"])
async def test_texts_are_encoded_once_when_the_first_caller_gives_up(
    watched: WatchedBundle, fate: str, pipeline: Pipeline, metrics: Metrics
) -> None:
    busy = await held(pipeline, watched)
    jobs = [make_job("환율", options=SearchOptions(1), seconds=20) for _ in range(4)]
    first, *others = await start(pipeline, *jobs)
    if fate == "cancelled":
        first.cancel()
    else:
        expire(jobs[0])
    watched.gate.set()
    assert await asyncio.gather(*others) == [[None]] * 3
    assert all(found_by(job) for job in jobs[1:])
    assert watched.times_encoded("환율") == 1
    if fate == "expired":
        assert isinstance((await first)[0], DeadlinePassed)
    await busy
    value = metrics.registry.get_sample_value
    lookups = [value("chaja_cache_lookups_total", {"result": each}) for each in ("hit", "miss", "shared")]
    assert lookups == [0, 3, 2], "each job is counted once"


async def test_giving_up_during_tokenizing_does_not_delay_others(watched: WatchedBundle, pipeline: Pipeline) -> None:
    text = "z" * (SHORT_CHARACTERS + 1)
    watched.slow_tokenizing = 0.05
    first, second = await start(pipeline, *(make_job(text, truncate=True) for _ in range(2)))
    first.cancel()
    assert await asyncio.wait_for(second, 5) == [None]
    assert await asyncio.wait_for(pipeline.run([make_job(text, truncate=True)]), 5) == [None]
    assert set(watched.tokenizing_threads) == {"tokenizer_0"}


async def test_a_cancelled_follower_does_not_disturb_the_first(watched: WatchedBundle, pipeline: Pipeline) -> None:
    busy = await held(pipeline, watched)
    first, follower = await start(pipeline, make_job("환율"), make_job("환율"))
    follower.cancel()
    watched.gate.set()
    assert await first == await busy == [None]


async def test_a_query_does_not_wait_for_bulk_work_of_the_same_text(watched: WatchedBundle, pipeline: Pipeline) -> None:
    busy = await held(pipeline, watched)
    bulk, interactive, follower = make_job("환율", bulk=True), make_job("환율"), make_job("환율")
    tasks = await start(pipeline, bulk, interactive, follower)
    watched.gate.set()
    assert await asyncio.gather(busy, *tasks) == [[None]] * 4
    assert watched.times_encoded("환율") == 2, "once for the bulk work, once for both queries"
    assert bytes_of(bulk) == bytes_of(interactive) == bytes_of(follower)


async def test_a_failure_is_not_cached(watched: WatchedBundle, new_pipeline: NewPipeline) -> None:
    pipeline = new_pipeline(cache_bytes=1_000_000)
    watched.fails_on["환율"] = RuntimeError("once")
    busy = await held(pipeline, watched)
    tasks = await start(pipeline, make_job("환율"), make_job("환율"))
    watched.gate.set()
    for task in tasks:
        assert isinstance((await task)[0], EncodingFailed)
    watched.fails_on.clear()
    job = make_job("환율")
    assert await pipeline.run([job]) == [None]
    assert job.vector is not None
    assert np.isfinite(job.vector).all()
    await busy


async def test_finished_texts_are_not_kept_in_flight(watched: WatchedBundle, pipeline: Pipeline) -> None:
    busy = await held(pipeline, watched)
    tasks = await start(pipeline, *(make_job(text, seconds=20) for text in ("a", "b", "a", " ", "x" * 65)))
    tasks[1].cancel()
    watched.gate.set()
    await asyncio.gather(busy, *tasks, return_exceptions=True)
    await asyncio.sleep(0)
    assert not pipeline._in_flight
