from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.batching.job import Job
from server.batching.pipeline import SLICE_TEXTS, Pipeline
from server.encoding.bundle import Bundle
from server.encoding.tokenizer import TextKind
from server.errors import NoTokens, NotReady, TooManyTokens
from server.index.exact import ExactIndex
from server.metrics import Metrics

TEXTS = ["지갑을 잃어버렸어", "send money", "환율", "split the bill", "x" * 60]


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle(tiny_bundle)


@pytest.fixture
async def pipeline(bundle: Bundle) -> AsyncIterator[Pipeline]:
    vectors = bundle.encode_texts([(text, TextKind.DOCUMENT) for text in TEXTS])
    index = ExactIndex(vectors, range(len(TEXTS)), similarity="cosine")
    pipeline = Pipeline(bundle, index, threads=2, max_batch_tokens=64, metrics=Metrics([]))
    yield pipeline
    await asyncio.to_thread(pipeline.close)


def make_job(text: str, *, limit: int | None = None, truncate: bool = False) -> Job:
    done = asyncio.get_running_loop().create_future()
    return Job(text=text, kind=TextKind.QUERY, limit=limit, truncate=truncate, done=done)


async def test_a_job_goes_through_all_stages(pipeline: Pipeline) -> None:
    job = make_job("환율", limit=2)
    assert await pipeline.run([job]) == [None]
    assert job.matches[0].document == 2
    assert list(job.stopwatch.seconds) == ["tokenize", "queue", "encode", "search", "fetch"]
    assert job.batch_texts >= 1


async def test_a_job_without_a_limit_is_not_searched(pipeline: Pipeline) -> None:
    job = make_job("환율")
    await pipeline.run([job])
    assert job.vector is not None
    assert not job.matches
    assert "search" not in job.stopwatch.seconds


async def test_a_text_that_is_too_long_fails_alone(pipeline: Pipeline) -> None:
    jobs = [make_job("a"), make_job("x" * 65), make_job("b")]
    outcomes = await pipeline.run(jobs)
    assert [type(outcome) for outcome in outcomes] == [type(None), TooManyTokens, type(None)]
    assert str(outcomes[1]) == "has 65 tokens; the model sees at most 64: shorten it"


async def test_a_text_that_is_too_long_is_cut_where_the_caller_allows_it(pipeline: Pipeline) -> None:
    job, shorter = make_job("x" * 65, truncate=True), make_job("x" * 64)
    assert await pipeline.run([job, shorter]) == [None, None]
    assert job.tokens is not None
    assert (len(job.tokens.ids), job.tokens.whole_count) == (64, 65)
    assert job.vector is not None
    assert shorter.vector is not None
    assert job.vector.tobytes() == shorter.vector.tobytes()


async def test_concurrent_jobs_share_batches_and_come_out_as_alone(pipeline: Pipeline) -> None:
    alone = {}
    for text in TEXTS:
        job = make_job(text, limit=3)
        await pipeline.run([job])
        alone[text] = job.matches
    jobs = [make_job(text, limit=3) for text in TEXTS * 40]
    outcomes = await asyncio.gather(*(pipeline.run([job]) for job in jobs))
    assert outcomes == [[None]] * len(jobs)
    assert all(job.matches == alone[job.text] for job in jobs)
    assert max(job.batch_texts for job in jobs) > 1


async def test_a_caller_that_gives_up_leaves_the_others_alone(pipeline: Pipeline) -> None:
    given_up = asyncio.create_task(pipeline.run([make_job(text) for text in TEXTS * 10]))
    staying = make_job("환율", limit=1)
    await asyncio.sleep(0)
    given_up.cancel()
    assert await pipeline.run([staying]) == [None]
    assert staying.matches
    with pytest.raises(asyncio.CancelledError):
        await given_up


async def test_a_large_call_does_not_stand_in_front_of_the_others(bundle: Bundle) -> None:
    vectors = bundle.encode_texts([("a", TextKind.DOCUMENT)])
    pipeline = Pipeline(
        bundle, ExactIndex(vectors, [0], similarity="cosine"), threads=1, max_batch_tokens=64, metrics=Metrics([])
    )
    jobs = [make_job("x" * 60) for _ in range(40 * SLICE_TEXTS)]
    large = asyncio.create_task(pipeline.run(jobs))
    await asyncio.sleep(0)
    assert await pipeline.run([make_job("a")]) == [None]
    assert sum(job.done.done() for job in jobs) <= 4 * SLICE_TEXTS
    assert await large == [None] * len(jobs)
    await asyncio.to_thread(pipeline.close)


async def test_a_text_of_which_nothing_is_left_is_refused(pipeline: Pipeline) -> None:
    outcomes = await pipeline.run([make_job(" "), make_job("a")])
    assert [type(outcome) for outcome in outcomes] == [NoTokens, type(None)]


async def test_close_finishes_what_was_handed_over(bundle: Bundle) -> None:
    vectors = bundle.encode_texts([("a", TextKind.DOCUMENT)])
    pipeline = Pipeline(
        bundle, ExactIndex(vectors, [0], similarity="cosine"), threads=1, max_batch_tokens=64, metrics=Metrics([])
    )
    running = asyncio.create_task(pipeline.run([make_job(text) for text in TEXTS * 6]))
    larger = asyncio.create_task(pipeline.run([make_job(text) for text in TEXTS * 20]))
    await asyncio.sleep(0)
    await asyncio.to_thread(pipeline.close)
    assert await running == [None] * 30
    with pytest.raises(NotReady, match="shutting down"):
        await larger
    with pytest.raises(NotReady, match="shutting down"):
        await pipeline.run([make_job("a")])
