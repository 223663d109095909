import asyncio
import gc
import threading
import unicodedata
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.batching.pipeline import INTERACTIVE_TEXTS, SHORT_CHARACTERS, is_bulk
from server.batching.speed import Speed
from server.catalogue.store import Store
from server.encoding.cache import EmbeddingCache
from server.encoding.kind import TextKind
from server.encoding.normalisation import normalised
from server.engine import Engine, EngineOptions, EngineSlot
from server.errors import NotReady
from server.metrics import Metrics
from server.ranking.options import SearchOptions
from tests.server.making import WatchedBundle, make_loaded, until

OPTIONS = EngineOptions(workers=1, max_batch_tokens=64, longest_wait_seconds=60.0, log_texts=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, durable=False)
    yield store
    store.close()


def make_engine(watched: WatchedBundle, store: Store) -> Engine:
    return Engine(make_loaded(watched, store), OPTIONS, cache=EmbeddingCache(0), speed=Speed(), metrics=Metrics([]))


async def test_close_waits_for_the_calls_that_were_taken(watched: WatchedBundle, store: Store) -> None:
    engine = make_engine(watched, store)
    watched.gate.clear()
    texts = [f"text {number}" for number in range(100)]
    jobs = engine.text_jobs(texts, TextKind.TEXT, truncate=False, remaining_seconds=None)
    running = asyncio.create_task(engine.run(jobs))
    await until(lambda: watched.batches)
    closing = asyncio.create_task(engine.close())
    await asyncio.sleep(0.02)
    assert not closing.done()
    watched.gate.set()
    assert await running == [None] * 100, "also the slices that were not in the queue yet"
    await closing
    assert not any(thread.name.startswith(("worker-", "tokenizer")) for thread in threading.enumerate())


async def test_close_waits_for_no_call_that_was_given_up(watched: WatchedBundle, store: Store) -> None:
    engine = make_engine(watched, store)
    job = engine.query_job("환율", SearchOptions(1), remaining_seconds=None, bulk=False)
    watched.gate.clear()
    running = asyncio.create_task(engine.run([job]))
    await until(lambda: watched.batches)
    running.cancel()
    watched.gate.set()
    await asyncio.wait_for(engine.close(), 10)


async def test_the_slot_gives_the_newest_engine_and_hands_back_the_one_before(
    watched: WatchedBundle, store: Store
) -> None:
    slot = EngineSlot()
    assert slot.queue_texts == 0
    with pytest.raises(NotReady, match="still loading"):
        _ = slot.engine
    first, second = make_engine(watched, store), make_engine(watched, store)
    assert slot.swap(first) is None
    assert slot.engine is first
    assert slot.swap(second) is first
    assert slot.engine is second
    for engine in (first, second):
        await engine.close()


async def test_a_call_goes_on_with_the_engine_that_took_it(watched: WatchedBundle, store: Store) -> None:
    slot = EngineSlot()
    slot.swap(make_engine(watched, store))
    old = slot.engine
    watched.gate.clear()
    job = old.query_job("환율", SearchOptions(1), remaining_seconds=None, bulk=False)
    running = asyncio.create_task(old.run([job]))
    await until(lambda: watched.batches)
    slot.swap(make_engine(watched, store))
    closing = asyncio.create_task(old.close())
    watched.gate.set()
    assert await running == [None]
    assert job.found is not None
    await closing
    await slot.engine.close()


async def test_what_lets_others_go_first(watched: WatchedBundle, store: Store) -> None:
    engine = make_engine(watched, store)

    def bulk(count: int, kind: TextKind) -> bool:
        jobs = engine.text_jobs(["a"] * count, kind, truncate=False, remaining_seconds=1)
        assert len({job.bulk for job in jobs}) == 1
        return jobs[0].bulk

    assert bulk(1, TextKind.TEXT)
    assert not bulk(INTERACTIVE_TEXTS, TextKind.QUERY)
    assert bulk(INTERACTIVE_TEXTS + 1, TextKind.QUERY)
    assert not is_bulk(["a" * (SHORT_CHARACTERS // 2)] * 2)
    assert is_bulk(["a" * (SHORT_CHARACTERS // 2)] * 3), "it is tokenized where others wait, too"
    await engine.close()


async def test_a_query_is_encoded_composed_and_with_single_blanks(watched: WatchedBundle, store: Store) -> None:
    engine = make_engine(watched, store)
    as_typed = unicodedata.normalize("NFD", "\u3000지갑을  잃어버렸어\n")
    job = engine.query_job(as_typed, SearchOptions(1), remaining_seconds=None, bulk=False)
    assert job.text == "지갑을 잃어버렸어"
    (encoded,) = engine.text_jobs([as_typed], TextKind.QUERY, truncate=False, remaining_seconds=None)
    assert encoded.text == as_typed, "texts to encode are encoded as they are"
    await engine.close()


@given(st.text())
def test_a_normalised_query_is_so_for_good_and_lost_nothing_but_white_space(query: str) -> None:
    once = normalised(query)
    assert normalised(once) == once
    assert once == once.strip()
    assert "  " not in once
    assert unicodedata.is_normalized("NFC", once)
    composed = unicodedata.normalize("NFC", query)
    assert "".join(once.split()) == "".join(composed.split())


@given(st.text())
def test_how_a_query_was_composed_makes_no_difference(query: str) -> None:
    assert normalised(unicodedata.normalize("NFD", query)) == normalised(unicodedata.normalize("NFC", query))


async def test_an_engine_that_was_replaced_is_freed_without_the_garbage_collector(
    watched: WatchedBundle, store: Store
) -> None:
    slot = EngineSlot()
    slot.swap(make_engine(watched, store))
    job = slot.engine.query_job("환율", SearchOptions(1), remaining_seconds=20, bulk=False)
    assert await slot.engine.run([job]) == [None]
    gone = weakref.ref(slot.engine.pipeline)
    gc.collect()
    gc.disable()  # What was frozen after the start it would not look at.
    try:
        before = slot.swap(make_engine(watched, store))
        assert before is not None
        await before.close()
        del before, job
        await asyncio.sleep(0.05)
        assert gone() is None, "the engine is part of a cycle"
    finally:
        gc.enable()
    await slot.engine.close()
