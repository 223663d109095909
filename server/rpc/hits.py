"""Builds the hits of an answer from the documents that a search found."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chaja.v1 import AppliedRule, Field, Hit, RuleEffect, SearchResponse, TextUnit
from chaja.v1 import Match as MatchMessage
from server.catalogue import document
from server.catalogue.document import Document, Part, parts_of
from server.catalogue.partial import Fields
from server.lexical.tokens import terms_of
from server.metrics.caches import CacheMetrics
from server.ranking.found import Effect, FoundDocument
from server.rpc.background import Background
from server.rpc.highlights import Highlighting, highlights_of
from server.rpc.masks import Mask
from server.rpc.room import HIT_BYTES, Room
from server.rpc.wire import embedded, single

FIELD_OF = {
    document.Field.TITLE: Field.FIELD_TITLE,
    document.Field.TEXT: Field.FIELD_TEXT,
    document.Field.EXAMPLE: Field.FIELD_EXAMPLE,
}

EFFECT_OF = {
    Effect.PINNED: RuleEffect.RULE_EFFECT_PINNED,
    Effect.BURIED: RuleEffect.RULE_EFFECT_BURIED,
    Effect.BOOSTED: RuleEffect.RULE_EFFECT_BOOSTED,
}

KEPT_HITS = 20_000
KEPT_BYTES = 2**25
KEPT_HIT_BYTES = 2**14
"""Bounds of the cache of hits, and of each hit in it: a few large documents must not displace all others.

Reading a document and building a hit costs far more than copying one.
"""

LONGEST_LANGUAGE_CODE = 35
"""Length of the longest language code of RFC 5646."""

COMPARED_CHARACTERS = 10_000
"""Maximum characters of a document that are compared with a query's words; the first passage always is."""

FETCHED_DOCUMENTS = 16
"""Documents that are read at a time."""

Fetch = Callable[[Sequence[int], str, Fields | None], Mapping[int, tuple[Document, NDArray[np.int32]]]]
"""Takes sequences, a model's revision and the needed fields, None for all; returns the documents of the sequences and
the spans of their vectors (rows of part, start, end), except those that the store no longer has."""


class HitKey(NamedTuple):
    """Everything that a hit depends on except its scores.

    `part` is the number of the document's best vector, or the query where no vectors were compared. `highlighting` is
    None for hits without highlights.
    """

    sequence: int
    part: int | str
    language_code: str
    mask: Mask
    highlighting: Highlighting | None = None


class Passage(NamedTuple):
    """A passage of a document: its part, and where it starts and ends there, in code points."""

    part: Part
    start: int
    end: int


class Hits:
    """Builds hits, and caches them for later queries that find the same documents. Used on the event loop."""

    def __init__(self, fetch: Fetch, background: Background, metrics: CacheMetrics) -> None:
        """Takes a function that reads the store; it may block."""
        self._fetch = fetch
        self._background = background
        self._metrics = metrics
        self._fetching = ThreadPoolExecutor(1, thread_name_prefix="fetch")  # For calls that a person waits for.
        self._revision = ""
        self._kept: dict[HitKey, bytes] = {}  # Serialized hits without scores.
        self._kept_bytes = 0

    async def of(
        self,
        found: Sequence[FoundDocument],
        *,
        words: str,
        language_code: str,
        revision: str,
        mask: Mask,
        room: Room,
        bulk: bool,
        highlight: int = TextUnit.TEXT_UNIT_UNSPECIFIED,
    ) -> bytes:
        """Returns the field `hits` of an answer: the found documents, except those that the store no longer has.

        `words` is the text whose words were searched, and `highlight` the number of the `TextUnit` of highlights.
        Raises ResponseTooLarge if they do not fit into the room; hardly any more documents are read then.
        """
        if revision != self._revision:  # Another model has other passages.
            self._revision, self._kept, self._kept_bytes = revision, {}, 0
        if len(language_code) > LONGEST_LANGUAGE_CODE:
            language_code = ""
        highlighting = Highlighting(words, highlight) if highlight and "highlights" in mask.names else None
        # Where vectors were not compared, words decide which part matched.
        keys = [
            HitKey(each.sequence, words if each.vector is None else each.vector, language_code, mask, highlighting)
            for each in found
        ]
        built = {key: hit for key in keys if (hit := self._kept.get(key)) is not None}
        missing = [key for key in keys if key not in built]
        self._metrics.count_lookups(hits=len(built), misses=len(missing))
        for hit in built.values():
            room.take(HIT_BYTES + len(hit))
        if missing:
            loop = asyncio.get_running_loop()
            build = partial(self._build_all, missing, revision, room)
            fresh = await (self._background.run(build) if bulk else loop.run_in_executor(self._fetching, build))
            built |= fresh
            if revision == self._revision:
                self._keep(fresh)
        rules = [_applied_rules(each, mask) for each in found]
        room.take(sum(map(len, rules)))
        return b"".join(
            embedded(SearchResponse.HITS_FIELD_NUMBER, built[key] + _scores(each, mask) + applied)
            for key, each, applied in zip(keys, found, rules, strict=True)
            if key in built
        )

    def _keep(self, fresh: dict[HitKey, bytes]) -> None:
        # Hits that depend on a query's words are rarely needed again.
        kept = {key: hit for key, hit in fresh.items() if _is_kept(key) and len(hit) <= KEPT_HIT_BYTES}
        size = sum(map(len, kept.values()))
        if len(self._kept) + len(kept) > KEPT_HITS or self._kept_bytes + size > KEPT_BYTES:
            self._kept, self._kept_bytes = {}, 0
        if size <= KEPT_BYTES:
            self._kept |= kept
            self._kept_bytes += size

    def _build_all(self, keys: Sequence[HitKey], revision: str, room: Room) -> dict[HitKey, bytes]:
        built: dict[HitKey, bytes] = {}
        highlighting = keys[0].highlighting  # The same for all.
        terms = np.unique(terms_of([highlighting.query])[0]) if highlighting else None
        for first in range(0, len(keys), FETCHED_DOCUMENTS):
            portion = keys[first : first + FETCHED_DOCUMENTS]
            fetched = self._fetch([key.sequence for key in portion], revision, portion[0].mask.stored)
            for key in portion:
                if (found := fetched.get(key.sequence)) is not None:
                    built[key] = _build(key, *found, terms).SerializeToString()
                    room.take(HIT_BYTES + len(built[key]))
        return built


def _is_kept(key: HitKey) -> bool:
    return isinstance(key.part, int) and key.highlighting is None


def _build(key: HitKey, found: Document, spans: NDArray[np.int32], terms: NDArray[np.uint64] | None) -> Hit:
    """Builds a hit; `terms` are those of the query if the hit has highlights."""
    names = key.mask.names
    hit = Hit(document_id=found.id)
    if "version" in names:
        hit.version = key.sequence
    if "title" in names:
        hit.title = found.title_in(key.language_code)
    passage = _passage(key.part, found, spans) if "match" in names or key.highlighting else None
    if "match" in names and passage is not None:
        part, start, end = passage
        hit.match.CopyFrom(
            MatchMessage(
                field=FIELD_OF[part.field],
                language_code=part.language_code,
                example=part.text if part.field is document.Field.EXAMPLE else "",
                start=start,
                end=end,
            )
        )
    if key.highlighting and terms is not None:
        text = passage.part.text[passage.start : passage.end] if passage is not None else ""
        hit.highlights.CopyFrom(highlights_of(hit.title, text, terms, key.highlighting.unit))
    hit.attributes.update(found.attributes)
    return hit


def _passage(part: int | str, found: Document, spans: NDArray[np.int32]) -> Passage | None:
    """Returns the passage that matched: that of a vector, or the one with most of a query's words, if any has one."""
    parts = parts_of(found)
    vector = _wordiest(part, parts, spans) if isinstance(part, str) else part
    if vector is None:
        return None
    position, start, end = spans[vector].tolist()
    return Passage(parts[position], start, end)


def _wordiest(query: str, parts: Sequence[Part], spans: NDArray[np.int32]) -> int | None:
    """Returns the row of `spans` whose text has most of a query's terms; None if no text has any."""
    ends = np.cumsum(spans[:, 2] - spans[:, 1])
    compared = spans[: max(1, int(np.searchsorted(ends, COMPARED_CHARACTERS, "right")))]
    terms, places = terms_of([parts[position].text[start:end] for position, start, end in compared.tolist()])
    shared = np.isin(terms, terms_of([query])[0])
    pairs = np.unique(np.stack((places[shared].astype(np.uint64), terms[shared])), axis=1)
    counts = np.bincount(pairs[0].astype(np.int64), minlength=1)
    return int(np.argmax(counts)) if counts.any() else None


def _scores(found: FoundDocument, mask: Mask) -> bytes:
    """Returns the scores of a hit, serialized."""
    scores = single(Hit.SCORE_FIELD_NUMBER, found.score)
    if found.dense_score is not None and "dense_score" in mask.names:
        scores += single(Hit.DENSE_SCORE_FIELD_NUMBER, found.dense_score)
    if found.lexical_score is not None and "lexical_score" in mask.names:
        scores += single(Hit.LEXICAL_SCORE_FIELD_NUMBER, found.lexical_score)
    return scores


def _applied_rules(found: FoundDocument, mask: Mask) -> bytes:
    """Returns the rules that have moved a hit, serialized."""
    if not found.rules or "applied_rules" not in mask.names:
        return b""
    rules = [
        AppliedRule(rule_id=each.rule_id, effect=EFFECT_OF[each.effect], score_change=each.score_change)
        for each in found.rules
    ]
    return Hit(applied_rules=rules).SerializeToString()
