"""Builds the hits of an answer: fetches the documents that a search has found."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chaja.v1 import Field, Hit
from chaja.v1 import Match as MatchMessage
from server.catalogue import document
from server.catalogue.document import Document, Part, parts_of
from server.lexical.tokens import terms_of
from server.ranking.search import FoundDocument

FIELD_OF = {
    document.Field.TITLE: Field.FIELD_TITLE,
    document.Field.TEXT: Field.FIELD_TEXT,
    document.Field.EXAMPLE: Field.FIELD_EXAMPLE,
}

KEPT_HITS = 20_000
KEPT_BYTES = 2**25
"""Hits that are kept at most. To read a document takes some 30 µs, and attributes make a hit costly to build (9 µs),
beside a copy of it (1 µs)."""

LONGEST_LANGUAGE_CODE = 35
"""RFC 5646 has none that is longer."""

COMPARED_CHARACTERS = 10_000
"""Of a document, where words say which part matched, but at least its first passage."""

FETCHING_THREADS = 2

Fetch = Callable[[int, str], "tuple[Document, NDArray[np.int32]] | None"]
"""Returns the version of a document that has a sequence, and the spans of its vectors of a model."""


class HitKey(NamedTuple):
    """What a hit depends on but for its scores. Its part is that of a vector, or the one that has most of a query."""

    sequence: int
    part: int | str
    language_code: str


class Hits:
    """Builds hits, and keeps them for the next query that finds the same. Used on the event loop."""

    def __init__(self, fetch: Fetch) -> None:
        """Takes what reads the store; it blocks."""
        self._fetch = fetch
        self._fetching = ThreadPoolExecutor(FETCHING_THREADS, thread_name_prefix="fetch")
        self._revision = ""
        self._kept: dict[HitKey, Hit] = {}
        self._kept_bytes = 0

    async def of(self, found: Sequence[FoundDocument], *, query: str, language_code: str, revision: str) -> list[Hit]:
        """Returns the hits of what was found, but for documents that were deleted long before they are fetched."""
        if revision != self._revision:  # Another model has other passages.
            self._revision, self._kept, self._kept_bytes = revision, {}, 0
        if len(language_code) > LONGEST_LANGUAGE_CODE:
            language_code = ""
        # Where vectors were not compared, the query's words say which part matched.
        keys = [HitKey(each.sequence, query if each.vector is None else each.vector, language_code) for each in found]
        built = {key: self._kept[key] for key in keys if key in self._kept}
        missing = [key for key in keys if key not in built]
        if missing:
            loop = asyncio.get_running_loop()
            fresh = await loop.run_in_executor(self._fetching, self._build_all, missing, revision)
            built |= fresh
            if revision == self._revision:  # What depends on a query hardly comes again.
                self._keep({key: hit for key, hit in fresh.items() if isinstance(key.part, int)})
        return [_scored(built[key], each) for key, each in zip(keys, found, strict=True) if key in built]

    def _keep(self, fresh: dict[HitKey, Hit]) -> None:
        size = sum(hit.ByteSize() for hit in fresh.values())
        if len(self._kept) + len(fresh) > KEPT_HITS or self._kept_bytes + size > KEPT_BYTES:
            self._kept, self._kept_bytes = {}, 0
        if size <= KEPT_BYTES:
            self._kept |= fresh
            self._kept_bytes += size

    def _build_all(self, keys: Sequence[HitKey], revision: str) -> dict[HitKey, Hit]:
        fetched = ((key, self._fetch(key.sequence, revision)) for key in keys)
        return {key: _build(key, *each) for key, each in fetched if each is not None}


def _build(key: HitKey, found: Document, spans: NDArray[np.int32]) -> Hit:
    hit = Hit(document_id=found.id, title=found.title_in(key.language_code), version=key.sequence)
    parts = parts_of(found)
    vector = _wordiest(key.part, parts, spans) if isinstance(key.part, str) else key.part
    if vector is not None:
        position, start, end = spans[vector].tolist()
        part = parts[position]
        hit.match.CopyFrom(
            MatchMessage(
                field=FIELD_OF[part.field],
                language_code=part.language_code,
                example=part.text if part.field is document.Field.EXAMPLE else "",
                start=start,
                end=end,
            )
        )
    hit.attributes.update(found.attributes)
    return hit


def _wordiest(query: str, parts: Sequence[Part], spans: NDArray[np.int32]) -> int | None:
    """Returns the place in `spans` of what has most of a query's terms; None if nothing has any."""
    ends = np.cumsum(spans[:, 2] - spans[:, 1])
    compared = spans[: max(1, int(np.searchsorted(ends, COMPARED_CHARACTERS, "right")))]
    terms, places = terms_of([parts[position].text[start:end] for position, start, end in compared.tolist()])
    shared = np.isin(terms, terms_of([query])[0])
    pairs = np.unique(np.stack((places[shared].astype(np.uint64), terms[shared])), axis=1)
    counts = np.bincount(pairs[0].astype(np.int64), minlength=1)
    return int(np.argmax(counts)) if counts.any() else None


def _scored(hit: Hit, found: FoundDocument) -> Hit:
    """Returns a hit with its scores. The message that holds hits copies them: a kept one may be changed again."""
    hit.score = found.score
    for name in ("dense_score", "lexical_score"):
        score = getattr(found, name)
        if score is None:
            hit.ClearField(name)
        else:
            setattr(hit, name, score)
    return hit
