import asyncio
import gc
import threading
import unicodedata
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.batching.pipeline import INTERACTIVE_TEXTS, SHORT_CHARACTERS, is_bulk
from server.batching.speed import Speed
from server.catalogue.store import Store
from server.composition import without_invisible
from server.encoding.cache import EmbeddingCache
from server.encoding.kind import TextKind
from server.encoding.normalisation import normalised
from server.engine import Engine, EngineSlot
from server.errors import NotReady
from server.metrics import Metrics
from server.ranking.options import SearchOptions
from tests.server.making import ENGINE_SETTINGS, WatchedBundle, make_loaded, until


def make_engine(watched: WatchedBundle, store: Store) -> Engine:
    index = make_loaded(watched, store).index
    return Engine(watched, index, ENGINE_SETTINGS, cache=EmbeddingCache(0), speed=Speed(), metrics=Metrics())


async def test_close_waits_for_accepted_calls(watched: WatchedBundle, store: Store) -> None:
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
    assert await running == [None] * 100, "even the slices that were not in the queue yet"
    await closing
    assert not any(thread.name.startswith(("worker-", "tokenizer")) for thread in threading.enumerate())


async def test_close_does_not_wait_for_cancelled_calls(watched: WatchedBundle, store: Store) -> None:
    engine = make_engine(watched, store)
    job = engine.query_job("환율", SearchOptions(1), remaining_seconds=None, bulk=False)
    watched.gate.clear()
    running = asyncio.create_task(engine.run([job]))
    await until(lambda: watched.batches)
    running.cancel()
    watched.gate.set()
    await asyncio.wait_for(engine.close(), 10)


async def test_documents_and_large_calls_are_bulk_work(watched: WatchedBundle, store: Store) -> None:
    engine = make_engine(watched, store)

    def bulk(count: int, kind: TextKind) -> bool:
        jobs = engine.text_jobs(["a"] * count, kind, truncate=False, remaining_seconds=1)
        assert len({job.bulk for job in jobs}) == 1
        return jobs[0].bulk

    assert bulk(1, TextKind.TEXT)
    assert not bulk(INTERACTIVE_TEXTS, TextKind.QUERY)
    assert bulk(INTERACTIVE_TEXTS + 1, TextKind.QUERY)
    assert not is_bulk(["a" * (SHORT_CHARACTERS // 2)] * 2)
    assert is_bulk(["a" * (SHORT_CHARACTERS // 2)] * 3), "otherwise it would be tokenized on the event loop"
    await engine.close()


async def test_texts_to_encode_are_not_normalised(watched: WatchedBundle, store: Store) -> None:
    engine = make_engine(watched, store)
    as_typed = unicodedata.normalize("NFD", "\u3000지갑을  잃어버렸어\n")
    (encoded,) = engine.text_jobs([as_typed], TextKind.QUERY, truncate=False, remaining_seconds=None)
    assert encoded.text == as_typed, "unchanged"
    await engine.close()


@given(st.text())
def test_normalising_is_idempotent_and_removes_only_what_cannot_be_seen(query: str) -> None:
    once = normalised(query)
    assert normalised(once) == once
    assert once == once.strip()
    assert "  " not in once
    assert unicodedata.is_normalized("NFC", once)
    composed = unicodedata.normalize("NFC", without_invisible(query))
    assert "".join(once.split()) == "".join(composed.split())


@given(st.text())
def test_composed_and_decomposed_queries_are_equal(query: str) -> None:
    assert normalised(unicodedata.normalize("NFD", query)) == normalised(unicodedata.normalize("NFC", query))


async def test_a_replaced_engine_is_freed_without_the_garbage_collector(watched: WatchedBundle, store: Store) -> None:
    slot = EngineSlot(on_broken=lambda: None)
    slot.swap(make_engine(watched, store))
    slot.open()
    job = slot.engine.query_job("환율", SearchOptions(1), remaining_seconds=20, bulk=False)
    assert await slot.engine.run([job]) == [None]
    gone = weakref.ref(slot.engine.pipeline)
    gc.collect()
    gc.disable()  # The collector skips objects that were frozen after startup.
    try:
        before = slot.engine
        slot.swap(make_engine(watched, store))
        await before.close()
        del before, job
        await asyncio.sleep(0.05)
        assert gone() is None, "the engine is part of a cycle"
    finally:
        gc.enable()
    await slot.engine.close()


async def test_calls_get_no_engine_before_the_catalogue_is_loaded(watched: WatchedBundle, store: Store) -> None:
    slot = EngineSlot(on_broken=lambda: None)
    with pytest.raises(NotReady, match="the server is still loading; try again in a few seconds"):
        _ = slot.engine
    slot.swap(make_engine(watched, store))
    with pytest.raises(NotReady, match="the server is still loading; try again in a few seconds"):
        _ = slot.engine
    slot.open()
    assert slot.engine is slot.loaded
    await slot.engine.close()
