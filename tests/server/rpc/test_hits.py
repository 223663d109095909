"""The cache of hits, and the threads that build them."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chaja.v1 import Highlights, Hit, SearchResponse, TextRange, TextUnit
from server.catalogue.document import AttributeValue, Document
from server.catalogue.partial import Fields
from server.metrics import Metrics
from server.ranking.found import FoundDocument
from server.rpc.background import Background
from server.rpc.hits import KEPT_HIT_BYTES, Hits
from server.rpc.masks import HITS
from server.rpc.room import Room

LARGE, SMALL = 1, 2
SPANS = np.array([[0, 0, 2]], dtype=np.int32)


class Store:
    """Counts how often each document is read. Reads of the large one wait for `released`."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.released = threading.Event()
        self.released.set()

    def fetch(
        self, sequences: Sequence[int], revision: str, fields: Fields | None
    ) -> dict[int, tuple[Document, NDArray[np.int32]]]:
        return {sequence: self._fetch(sequence) for sequence in sequences}

    def _fetch(self, sequence: int) -> tuple[Document, NDArray[np.int32]]:
        self.read.append(sequence)
        if sequence == LARGE:
            self.released.wait(10)
        attributes: dict[str, AttributeValue] = {"blob": "x" * KEPT_HIT_BYTES} if sequence == LARGE else {}
        return Document(id=f"{sequence}", title="환율", attributes=attributes), SPANS


async def ids(hits: Hits, *sequences: int, bulk: bool) -> list[str]:
    found = [FoundDocument(sequence, 0.5, vector=0, dense_score=0.5) for sequence in sequences]
    room = Room(2**22, "ask for less")
    answer = await hits.of(
        found, words="환율", language_code="", revision="r", mask=HITS.everything, room=room, bulk=bulk
    )
    return [hit.document_id for hit in SearchResponse.FromString(answer).hits]


async def test_large_hits_are_built_again_and_small_ones_are_kept() -> None:
    store, metrics = Store(), Metrics()
    hits = Hits(store.fetch, Background(), metrics.caches)
    for bulk in (False, True, False):
        assert await ids(hits, LARGE, SMALL, bulk=bulk) == ["1", "2"]
    assert store.read == [LARGE, SMALL, LARGE, LARGE]
    value = metrics.registry.get_sample_value
    looked_up = [value("chaja_hit_cache_lookups_total", {"result": result}) for result in ("hit", "miss")]
    assert looked_up == [2, 4]


async def test_an_interactive_call_does_not_wait_for_the_hits_of_bulk_calls() -> None:
    store = Store()
    hits = Hits(store.fetch, Background(), Metrics().caches)
    store.released.clear()
    waiting = asyncio.ensure_future(ids(hits, LARGE, bulk=True))
    assert await asyncio.wait_for(ids(hits, SMALL, bulk=False), 5) == ["2"]
    assert not waiting.done()
    store.released.set()
    assert await waiting == ["1"]


async def test_hits_with_highlights_are_not_kept_for_others() -> None:
    store = Store()
    hits = Hits(store.fetch, Background(), Metrics().caches)

    async def hit(query: str, highlight: int) -> Hit:
        answer = await hits.of(
            [FoundDocument(SMALL, 0.5, vector=0)],
            words=query,
            language_code="",
            revision="r",
            mask=HITS.everything,
            room=Room(2**22, "ask for less"),
            bulk=False,
            highlight=highlight,
        )
        return SearchResponse.FromString(answer).hits[0]

    for query, ranges in (("환율", [TextRange(start=0, end=2)]), ("대출", [])):
        assert not (await hit(query, TextUnit.TEXT_UNIT_UNSPECIFIED)).HasField("highlights")
        highlighted = await hit(query, TextUnit.TEXT_UNIT_CODE_POINT)
        assert highlighted.highlights == Highlights(title=ranges, passage="환율", passage_ranges=ranges)
    assert store.read == [SMALL, SMALL, SMALL], "only the hit without highlights is kept"
