import asyncio
import gc
from collections.abc import Callable

import pytest

from server.batching.pipeline import SHORT_CHARACTERS, SLICE_TEXTS, Pipeline
from server.encoding.kind import TextKind
from server.errors import DeadlinePassed, NotReady, UnfitText
from server.metrics import Metrics
from server.ranking.options import SearchOptions
from tests.server.making import DOCUMENTS, WatchedBundle, expire, found_by, held, make_job, until


async def test_a_job_goes_through_all_stages_and_is_searched_only_with_options(pipeline: Pipeline) -> None:
    searched, encoded = make_job("환율", options=SearchOptions(2)), make_job("환율")
    assert await pipeline.run([searched, encoded]) == [None, None]
    assert found_by(searched)[0].sequence == 3
    assert list(searched.stopwatch.seconds) == ["tokenize", "queue", "encode", "search"]
    assert searched.batch_texts >= 1
    assert encoded.vector is not None
    assert not found_by(encoded)
    assert "search" not in encoded.stopwatch.seconds


async def test_a_text_with_too_many_tokens_or_none_fails_alone(pipeline: Pipeline) -> None:
    outcomes = await pipeline.run([make_job(text) for text in ("a", "x" * 65, " ", "b")])
    assert [type(outcome) for outcome in outcomes] == [type(None), UnfitText, UnfitText, type(None)]
    assert str(outcomes[1]) == "has 65 tokens; the model sees at most 64: shorten it, or set truncate"
    assert str(outcomes[2]) == "has no text that the model can read: send words"


async def test_a_text_that_is_too_long_is_cut_where_the_caller_allows_it(pipeline: Pipeline) -> None:
    job, shorter = make_job("x" * 65, truncate=True), make_job("x" * 64)
    assert await pipeline.run([job, shorter]) == [None, None]
    assert job.tokens is not None
    assert (len(job.tokens.ids), job.tokens.whole_count) == (64, 65)
    assert job.vector is not None
    assert shorter.vector is not None
    assert job.vector.tobytes() == shorter.vector.tobytes()


async def test_jobs_that_share_batches_find_the_same_as_alone(new_pipeline: Callable[..., Pipeline]) -> None:
    pipeline = new_pipeline(workers=2)
    alone = {}
    for text in DOCUMENTS:
        job = make_job(text, options=SearchOptions(3))
        await pipeline.run([job])
        alone[text] = found_by(job)
    jobs = [make_job(text, options=SearchOptions(3)) for text in DOCUMENTS * 40]
    outcomes = await asyncio.gather(*(pipeline.run([job]) for job in jobs))
    assert outcomes == [[None]] * len(jobs)
    assert all(found_by(job) == alone[job.text] for job in jobs)
    assert max(job.batch_texts for job in jobs) > 1


async def test_a_single_request_never_waits_for_others(pipeline: Pipeline) -> None:
    waits = []
    for _ in range(20):
        job = make_job("환율", options=SearchOptions(1))
        await pipeline.run([job])
        assert job.batch_texts == 1
        waits.append(job.stopwatch.seconds["queue"])
    assert min(waits) < 0.005


async def test_batches_grow_while_the_workers_are_busy(watched: WatchedBundle, pipeline: Pipeline) -> None:
    first = await held(pipeline, watched)
    jobs = [make_job(text) for text in "abcdefgh"]
    others = [asyncio.create_task(pipeline.run([job])) for job in jobs]
    await until(lambda: len(pipeline) == len(jobs))
    watched.gate.set()
    await asyncio.gather(first, *others)
    assert [len(batch) for batch in watched.batches] == [1, len(jobs)]
    assert [job.batch_texts for job in jobs] == [len(jobs)] * len(jobs)


async def test_cancelled_and_expired_jobs_never_reach_the_encoder(
    watched: WatchedBundle, pipeline: Pipeline, metrics: Metrics
) -> None:
    first = await held(pipeline, watched)
    jobs = [make_job(text, seconds=20) for text in ("late", "given up", "wanted")]
    late, given_up, wanted = [asyncio.create_task(pipeline.run([job])) for job in jobs]
    await until(lambda: len(pipeline) == 3)
    given_up.cancel()
    expire(jobs[0])
    watched.gate.set()
    assert [type(outcome) for outcome in await late] == [DeadlinePassed]
    assert await first == await wanted == [None]
    assert [watched.times_encoded(text) for text in ("late", "given up", "wanted")] == [0, 0, 1]
    assert metrics.registry.get_sample_value("chaja_dropped_texts_total") == 2


async def test_a_call_past_its_deadline_fails_at_once(watched: WatchedBundle, pipeline: Pipeline) -> None:
    with pytest.raises(DeadlinePassed):
        await pipeline.run([make_job("late", seconds=0)])
    assert not watched.tokenizing_threads


async def test_a_large_call_does_not_delay_the_others(pipeline: Pipeline) -> None:
    jobs = [make_job("x" * 60, kind=TextKind.TEXT, bulk=True) for _ in range(40 * SLICE_TEXTS)]
    large = asyncio.create_task(pipeline.run(jobs))
    await asyncio.sleep(0)
    assert await pipeline.run([make_job("a")]) == [None]
    assert sum(job.done.done() for job in jobs) <= 4 * SLICE_TEXTS
    assert await large == [None] * len(jobs)


async def test_only_short_texts_are_tokenized_on_the_event_loop(watched: WatchedBundle, pipeline: Pipeline) -> None:
    await pipeline.run([make_job("x" * 60, truncate=True)])
    assert set(watched.tokenizing_threads) == {"MainThread"}
    watched.tokenizing_threads.clear()
    await pipeline.run([make_job("x" * (SHORT_CHARACTERS + 1), truncate=True)])
    assert set(watched.tokenizing_threads) == {"tokenizer_0"}


async def test_close_finishes_the_jobs_in_the_queue(pipeline: Pipeline) -> None:
    running = asyncio.create_task(pipeline.run([make_job(text) for text in "abcdefghijklmnopqrstuvwxyz"]))
    larger = asyncio.create_task(pipeline.run([make_job(str(number)) for number in range(2 * SLICE_TEXTS)]))
    await asyncio.sleep(0)
    await asyncio.to_thread(pipeline.close)
    assert await running == [None] * 26
    outcomes = await larger
    assert outcomes[:SLICE_TEXTS] == [None] * SLICE_TEXTS
    assert {type(outcome) for outcome in outcomes[SLICE_TEXTS:]} == {NotReady}


async def test_a_cancelled_call_logs_nothing(
    watched: WatchedBundle, caplog: pytest.LogCaptureFixture, pipeline: Pipeline
) -> None:
    watched.gate.clear()
    running = asyncio.create_task(pipeline.run([make_job("a"), make_job("x" * 65)]))
    await until(lambda: watched.batches)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    del running
    gc.collect()
    assert not caplog.records
    watched.gate.set()
