import statistics
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.lexical import index as index_module
from server.lexical.index import LexicalIndex
from server.lexical.view import LexicalHits, LexicalView
from tests.server.lexical.making import bm25, documents, sentences, texts
from tests.server.snapshots import saved_and_read


def indexed(*batches: Sequence[Sequence[str]]) -> LexicalIndex:
    index = LexicalIndex()
    for batch in batches:
        index.append(batch)
    return index


def wait_for_merges() -> None:
    for thread in threading.enumerate():
        if thread.name == "lexical-merge":
            thread.join()


def check(hits: LexicalHits, scores: Sequence[float], limit: int, allowed: Sequence[bool]) -> None:
    expected = [(-score, slot) for slot, score in enumerate(scores) if score > 0 and allowed[slot]]
    assert len(hits.slots) == min(limit, len(expected))
    best = [-score for score, _ in sorted(expected)][: len(hits.slots)]
    np.testing.assert_allclose(hits.scores, best, rtol=1e-5)
    np.testing.assert_allclose(hits.scores, [scores[slot] for slot in hits.slots], rtol=1e-5)
    assert all(allowed[slot] for slot in hits.slots)
    ranks = list(zip((-hits.scores).tolist(), hits.slots.tolist(), strict=True))
    assert ranks == sorted(ranks)


@settings(deadline=None)
@given(st.lists(documents, max_size=4), texts, st.integers(1, 5), st.randoms())
def test_scores_are_bm25_however_documents_were_appended(
    batches: list[list[list[str]]], query: str, limit: int, random: Random
) -> None:
    everything = [document for batch in batches for document in batch]
    allowed = [random.random() < 0.7 for _ in everything]
    view = indexed(*batches).view()
    scores = bm25(everything, query)
    check(view.search(query, limit=limit), scores, limit, [True] * len(everything))
    check(view.search(query, limit=limit, allowed=np.array(allowed, dtype=np.bool_)), scores, limit, allowed)


@settings(deadline=None)
@given(st.lists(documents, max_size=3), texts)
def test_a_restored_index_finds_the_same_and_can_be_appended_to(batches: list[list[list[str]]], query: str) -> None:
    index = indexed(*batches)
    loaded = LexicalIndex.restored(saved_and_read(index.view().arrays))
    assert len(loaded) == len(index)
    for each in (index, loaded):
        each.append([["적금 card"]])
    before, after = index.view().search(query, limit=50), loaded.view().search(query, limit=50)
    np.testing.assert_array_equal(before.slots, after.slots)
    np.testing.assert_array_equal(before.scores, after.scores)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.01, 0.0005])
def test_no_hit_is_lost_when_documents_are_looked_up(share: float) -> None:
    made = sentences(20_000)
    index = indexed(*(made[start : start + 1_000] for start in range(0, len(made), 1_000)))
    wait_for_merges()
    view = index.view()
    allowed = np.random.default_rng(1).random(len(made)) < share
    for place in range(0, len(made), 1_111):
        query = f"{made[place][0]} {made[place - 1][0]}"
        hits = view.search(query, limit=10, allowed=allowed)
        everything = view.search(query, limit=len(made))
        kept = allowed[everything.slots]
        np.testing.assert_array_equal(hits.slots, everything.slots[kept][:10])
        np.testing.assert_allclose(hits.scores, everything.scores[kept][:10], rtol=1e-6)


def test_equal_documents_come_in_the_order_of_their_slots() -> None:
    index = indexed(*([["lost card"], ["stolen card"]] for _ in range(40)))
    assert index.view().search("lost card", limit=3).slots.tolist() == [0, 2, 4]


def test_a_view_never_changes() -> None:
    index = indexed([["lost card"]])
    view = index.view()
    index.append([["lost card"]])
    assert view.search("lost", limit=5).slots.tolist() == [0]
    assert index.view().search("lost", limit=5).slots.tolist() == [0, 1]


@pytest.mark.parametrize("query", ["", "?", "unknown"])
def test_a_query_without_known_terms_finds_nothing(query: str) -> None:
    for index in (LexicalIndex(), indexed([[]]), indexed([["카드"]])):
        assert not len(index.view().search(query, limit=5).slots)


def test_the_documents_with_the_rarest_term_of_a_text_are_counted() -> None:
    view = indexed([["체크카드"], ["체크 카드 pin 1"]], [["카드를"], ["꿈 spin"]]).view()
    expected = {
        "카드": 3,
        "체크카드": 1,
        "체크 카드": 2,
        "카드론": 0,
        "1": 1,
        "": 0,
        "?!": 0,
        "카드 1": 1,
        "pin": 1,
        "pi": 0,
    }
    assert dict(zip(expected, view.documents_with(list(expected)), strict=True)) == expected
    assert view.documents_with([]) == []
    assert LexicalIndex().view().documents_with(["카드", ""]) == [0, 0]


def test_a_very_long_document_is_found() -> None:
    index = indexed([["word " * 200_000 + "needle"], ["word"]])
    assert index.view().search("needle", limit=5).slots.tolist() == [0]


def test_segments_are_merged_while_other_threads_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "POSTINGS_MERGED_AT_ONCE", 300)
    made = sentences(3_000)
    index = LexicalIndex()
    views: list[LexicalView] = [index.view()]
    failures: list[str] = []
    ended = threading.Event()

    def search() -> None:
        while not ended.is_set():
            view = views[-1]
            size = sum(segment.document_count for segment in view.segments)
            for slot in range(0, size, 97):
                if slot not in view.search(made[slot][0], limit=50).slots:
                    failures.append(f"slot {slot} of {size}")

    searcher = threading.Thread(target=search)
    searcher.start()
    for start in range(0, len(made), 10):
        index.append(made[start : start + 10])
        views.append(index.view())
        assert sum(segment.document_count for segment in views[-1].segments) == start + 10
    wait_for_merges()
    ended.set()
    searcher.join()
    assert not failures
    assert len(index.view().segments) < 12
    assert sum(segment.document_count for segment in index.view().segments) == len(made)


@pytest.mark.slow
def test_searching_and_appending_to_100000_documents_is_fast() -> None:
    made = sentences(100_000)
    index = indexed(*(made[start : start + 1_000] for start in range(0, len(made), 1_000)))
    wait_for_merges()
    view = index.view()
    searching = [cpu_seconds(partial(view.search, query, limit=100)) for (query,) in made[:300]]
    appending = [cpu_seconds(partial(index.append, made[start : start + 10])) for start in range(0, 3_000, 10)]
    assert statistics.median(searching) < 0.010
    assert statistics.quantiles(appending, n=100)[-1] < 0.010


def cpu_seconds(call: Callable[[], object]) -> float:
    started = time.thread_time()
    call()
    return time.thread_time() - started
