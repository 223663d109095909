"""Tests of failing batches and of dying workers."""

import asyncio
import logging
import time
from collections.abc import Callable

import pytest

from server.attributes.filter import Equals
from server.batching.pipeline import SLICE_TEXTS, Pipeline
from server.batching.speed import Speed
from server.catalogue.document import AttributeValue, Document
from server.encoding.kind import TextKind
from server.errors import DeadlinePassed, EncodingFailed, NotReady
from server.metrics import Metrics
from server.ranking.options import SearchOptions
from tests.server.making import DOCUMENTS, WatchedBundle, expire, found_by, local, make_job, until, versioned

POISON = "독약"
NewPipeline = Callable[..., Pipeline]


async def test_a_text_that_breaks_the_model_fails_alone_with_an_incident(
    watched: WatchedBundle, caplog: pytest.LogCaptureFixture, pipeline: Pipeline
) -> None:
    watched.fails_on[POISON] = RuntimeError("the model broke")
    jobs = [make_job(text, options=SearchOptions(1)) for text in ("환율", POISON, "send money", "지갑")]
    outcomes = await pipeline.run(jobs)
    assert [type(outcome) for outcome in outcomes] == [type(None), EncodingFailed, type(None), type(None)]
    assert all(found_by(job) for job in jobs if job.text != POISON)
    failed = outcomes[1]
    assert isinstance(failed, EncodingFailed)
    (record,) = caplog.records
    assert failed.facts["incident"] in record.getMessage()
    assert failed.facts["incident"] in str(failed)
    assert "the model broke" in caplog.text
    assert "the model broke" not in str(failed)
    for text in (POISON, "환율", "send money", "지갑"):
        assert text not in caplog.text


async def test_a_batch_that_failed_and_expired_is_not_encoded_again(watched: WatchedBundle, pipeline: Pipeline) -> None:
    watched.fails_on[POISON] = RuntimeError("the model broke")
    watched.gate.clear()
    jobs = [make_job(text, seconds=20) for text in (POISON, "환율")]
    running = asyncio.create_task(pipeline.run(jobs))
    await until(lambda: watched.batches)
    expire(*jobs)
    watched.gate.set()
    outcomes = await asyncio.wait_for(running, 10)
    assert [type(outcome) for outcome in outcomes] == [DeadlinePassed, DeadlinePassed]
    assert watched.times_encoded("환율") == 1


class Deadly(BaseException):
    """Ends a thread."""


@pytest.mark.parametrize("workers", [1, 2])
async def test_when_the_last_worker_dies_all_calls_fail_at_once(
    watched: WatchedBundle, caplog: pytest.LogCaptureFixture, workers: int, new_pipeline: NewPipeline
) -> None:
    pipeline = new_pipeline(workers=workers)
    deadly = [f"deadly {number}" for number in range(workers)]
    watched.fails_on = {text: Deadly() for text in deadly}
    watched.gate.clear()
    killing = [asyncio.create_task(pipeline.run([make_job(text)])) for text in deadly]
    await until(lambda: len(watched.batches) == workers)
    waiting = [asyncio.create_task(pipeline.run([make_job(text)])) for text in ("a", "b", "c", "c")]
    bulk = [make_job(str(number), kind=TextKind.TEXT, bulk=True) for number in range(2 * SLICE_TEXTS)]
    large = asyncio.create_task(pipeline.run(bulk))
    await until(lambda: len(pipeline) == 3 + SLICE_TEXTS)
    watched.gate.set()
    outcomes = await asyncio.wait_for(asyncio.gather(*killing, *waiting, large), 10)
    assert {type(outcome) for each in outcomes for outcome in each} == {NotReady}
    assert pipeline.workers.death.done()
    with pytest.raises(NotReady, match="try another server"):
        await pipeline.run([make_job("d")])
    assert pipeline.admission.bulk_tokens == 0
    assert len(pipeline) == 0
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL] * workers


async def test_the_other_workers_continue_after_one_dies(watched: WatchedBundle, new_pipeline: NewPipeline) -> None:
    pipeline = new_pipeline(workers=2)
    watched.fails_on["deadly"] = Deadly()
    assert [type(outcome) for outcome in await pipeline.run([make_job("deadly")])] == [NotReady]
    await asyncio.wait_for(pipeline.workers.death, 10)
    for text in "abc":
        assert await pipeline.run([make_job(text, options=SearchOptions(1))]) == [None]


async def test_texts_are_encoded_by_their_kind_in_one_batch(watched: WatchedBundle, pipeline: Pipeline) -> None:
    query, document = make_job("환율", options=SearchOptions(1)), make_job("환율", kind=TextKind.TEXT)
    assert await pipeline.run([query, document]) == [None, None]
    assert [len(batch) for batch in watched.batches] == [2]
    assert found_by(query)
    assert not found_by(document)


async def test_the_speed_is_measured_on_encoded_texts(watched: WatchedBundle, new_pipeline: NewPipeline) -> None:
    speed = Speed()
    pipeline = new_pipeline(speed=speed, cache_bytes=1_000_000)
    await pipeline.run([make_job("x" * 20, options=SearchOptions(1))])
    await until(lambda: speed.tokens_per_character)
    assert 0 < speed.tokens_per_character < 1
    assert 0 < speed.per_token.value < 1
    learnt = speed.per_token.value
    await pipeline.run([make_job("x" * 20, options=SearchOptions(1))])
    await asyncio.to_thread(pipeline.close)
    assert speed.per_token.value == learnt, "a search of a known vector does not measure the encoder"


async def test_a_deadline_that_passes_during_encoding_is_an_error(watched: WatchedBundle, pipeline: Pipeline) -> None:
    watched.gate.clear()
    job = make_job("환율", options=SearchOptions(1), seconds=20)
    running = asyncio.create_task(pipeline.run([job]))
    await until(lambda: watched.batches)
    expire(job)
    watched.gate.set()
    assert [type(outcome) for outcome in await running] == [DeadlinePassed]


async def test_filters_that_python_compares_as_equal_do_not_share_a_search(
    watched: WatchedBundle, new_pipeline: NewPipeline
) -> None:
    pipeline = new_pipeline(max_batch_tokens=1000)
    documents: list[dict[str, AttributeValue]] = [{"f": True}, {"f": 1}, {"f": 1.0}, {"f": False}, {"f": 0}]
    first = len(DOCUMENTS) + 1
    added = [
        versioned(watched, Document(id=f"f{place}", title="환율", attributes=attributes), first + place)
        for place, attributes in enumerate(documents)
    ]
    local(pipeline.workers._index).follow(added, [], sequence=added[-1].sequence)
    filters = [Equals("f", True), Equals("f", 1.0), Equals("f", 1), Equals("f", False), Equals("f", 0.0)]
    jobs = [make_job("환율", options=SearchOptions(9, filter=each)) for each in filters]
    plain = [make_job("환율", options=SearchOptions(9)) for _ in range(3)]
    other = make_job("환율", options=SearchOptions(8))
    encoding = make_job("환율")  # The others wait for its vector and then share a batch.
    assert await pipeline.run([encoding, *jobs, *plain, other]) == [None] * 10
    assert {job.batch_texts for job in (*jobs, *plain, other)} == {9}, "they shared one batch"
    found = [{each.sequence - first for each in found_by(job)} for job in jobs]
    assert found == [{0}, {1, 2}, {1, 2}, {3}, {4}]
    assert plain[0].found is plain[1].found is plain[2].found, "equal queries without a filter are searched once"
    assert (len(found_by(plain[0])), len(found_by(other))) == (9, 8)


async def test_a_worker_is_busy_while_it_encodes_and_not_while_it_waits(
    watched: WatchedBundle, new_pipeline: NewPipeline, metrics: Metrics
) -> None:
    def busy(worker: int) -> float:
        return metrics.registry.get_sample_value("chaja_worker_busy_seconds_total", {"worker": str(worker)}) or 0.0

    pipeline = new_pipeline(workers=2)
    await asyncio.sleep(0.2)
    assert busy(0) + busy(1) == 0
    watched.gate.clear()
    started = time.monotonic()
    running = asyncio.create_task(pipeline.run([make_job("환율")]))
    await until(lambda: watched.batches)
    blocked = time.monotonic()
    await asyncio.sleep(0.2)
    least = time.monotonic() - blocked
    watched.gate.set()
    await running
    await until(lambda: busy(0) + busy(1))
    assert least <= busy(0) + busy(1) <= time.monotonic() - started
    assert 0 in (busy(0), busy(1)), "the other worker had no work"
