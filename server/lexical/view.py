"""What a lexical search sees: some segments, which never change. Scores documents by BM25.

Scores are exact, however they are computed. Terms are taken from the rarest to the commonest. Where few documents
are left that could still be among the best, because the commoner terms together weigh too little or because a filter
allows few, these are looked up in the long lists instead of adding the lists up.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.lexical.segment import STORED, Segment
from server.lexical.tokens import terms_of
from server.snapshot import Arrays

SATURATION = 4.0
"""BM25's k1: how late it no longer matters how often a term stands in a document. Pairs of characters are many and say
little each, so that it is far above the usual 0.9; chosen, as the next, on training questions (docs/search.md)."""

LENGTH_WEIGHT = 0.7
"""BM25's b: how much longer documents are held to say less of each of their terms."""

REST_SHARES = (0.5, 0.25)
"""Shares of what a query can score that the terms not yet added up have, when it is asked who can still be among the
best."""

WORTH_ASKING = 2
"""It is asked where the terms not yet added up have at least one document in so many, each counted again."""

ROUNDING = 1 + 1e-5
"""Sums of 32-bit numbers are this near to what they should be."""

LOOKED_UP_SHARE = 32
"""One document in so many may be left for looking up to be faster than adding up."""

SMALLEST = float(np.finfo(np.float32).tiny)

BLOCK = 256
"""Documents whose best score stands for them all, when the best are sought."""


class LexicalHits(NamedTuple):
    """The best documents of a query, best first; where scores are equal, the lower slot first."""

    slots: NDArray[np.int64]
    scores: NDArray[np.float32]
    """BM25, above 0: documents without any term of the query are no hits."""


class Wanted(NamedTuple):
    """The terms of a query, rarest first, and what a document would score that says nothing else."""

    terms: NDArray[np.uint64]
    most: NDArray[np.float32]


class Postings(NamedTuple):
    """The documents of a segment that have a term, how often each, and what the term can add to a score at most."""

    slots: NDArray[np.int32]
    counts: NDArray[np.uint8]
    most: np.float32


class LexicalView:
    """Immutable, and safe to search from many threads at once."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = tuple(segments)
        self._document_count = sum(segment.document_count for segment in segments)
        total = sum(segment.total_length for segment in segments)
        mean_length = max(total / max(self._document_count, 1), 1.0)
        self._floor = np.float32(SATURATION * (1 - LENGTH_WEIGHT))
        self._slope = np.float32(SATURATION * LENGTH_WEIGHT / mean_length)
        self._lengths: list[NDArray[np.float32] | None] = [None] * len(self.segments)

    def __len__(self) -> int:
        return self._document_count

    def search(self, query: str, *, limit: int, allowed: NDArray[np.bool_] | None = None) -> LexicalHits:
        """Returns the `limit` best documents, of those `allowed` by slot; fewer when fewer have a term of the query."""
        wanted = self._wanted(query)
        slots, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for place, segment in enumerate(self.segments):
            own = slice(segment.first_slot, segment.first_slot + segment.document_count)
            found = self._best_of(place, wanted, limit, None if allowed is None else allowed[own])
            slots.append(found[0] + segment.first_slot)
            scores.append(found[1])
        all_slots, all_scores = np.concatenate(slots), np.concatenate(scores)
        order = np.lexsort((all_slots, -all_scores))[:limit]
        return LexicalHits(all_slots[order], all_scores[order])

    @property
    def arrays(self) -> Arrays:
        """What a snapshot has of the segments."""
        return {
            f"{number}.{name}": getattr(segment, name)
            for number, segment in enumerate(self.segments)
            for name in STORED
        }

    def _wanted(self, query: str) -> Wanted:
        terms, times = np.unique(terms_of([query])[0], return_counts=True)
        documents = np.zeros(len(terms), np.int64)
        for segment in self.segments:
            documents += segment.places(terms)[1]
        rarity = np.log1p((self._document_count - documents + 0.5) / (documents + 0.5))
        order = np.argsort(documents, kind="stable")
        return Wanted(terms[order], (times * rarity * (SATURATION + 1))[order].astype(np.float32))

    def _best_of(
        self, place: int, wanted: Wanted, limit: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Returns the best documents of a segment, best first."""
        segment, lengths = self.segments[place], self._effective_lengths(place)
        places, sizes = segment.places(wanted.terms)
        known = sizes > 0
        places, sizes, most = places[known], sizes[known], wanted.most[known]
        lists = [
            Postings(segment.slots[start : start + size], segment.counts[start : start + size], weight)
            for start, size, weight in zip(segment.starts[places].tolist(), sizes.tolist(), most, strict=True)
        ]
        few = segment.document_count // LOOKED_UP_SHARE
        if allowed is not None and np.count_nonzero(allowed) <= few:
            left = np.flatnonzero(allowed)
            return _best(left, _looked_up(lists, left, lengths, np.zeros(len(left), np.float32)), limit)
        scores = np.zeros(segment.document_count, np.float32)
        # From each term on, the rest can add no more than this to any score, and has so many postings.
        rest = np.append(np.cumsum((most * self._largest_weights(segment, places))[::-1])[::-1], 0.0) * ROUNDING
        work = np.append(np.cumsum(sizes[::-1])[::-1], 0)
        done = 0
        for share in REST_SHARES:
            until = int(np.searchsorted(-rest, -share * rest[0]))
            if work[until] * WORTH_ASKING < segment.document_count:
                break
            _add_up(lists[done:until], lengths, scores)
            done = until
            if allowed is not None:
                scores *= allowed
            bound = _lower_bound(scores, limit) - rest[done]
            if bound > 0 and np.count_nonzero(scores >= bound) <= few:
                left = np.flatnonzero(scores >= bound)
                return _best(left, _looked_up(lists[done:], left, lengths, scores[left]), limit)
        _add_up(lists[done:], lengths, scores)
        if allowed is not None:
            scores *= allowed
        left = np.flatnonzero(scores >= max(_lower_bound(scores, limit), SMALLEST))
        return _best(left, scores[left], limit)

    def _effective_lengths(self, place: int) -> NDArray[np.float32]:
        """Returns what a term's count is held against, for each document of a segment."""
        if (lengths := self._lengths[place]) is None:
            lengths = self._lengths[place] = self._floor + self._slope * self.segments[place].lengths
        return lengths

    def _largest_weights(self, segment: Segment, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns how near each term comes to the most that it can add, in the document where it comes nearest."""
        spans = self._floor / segment.largest_counts[places] + self._slope * segment.smallest_spans[places]
        weights: NDArray[np.float32] = np.reciprocal(1 + spans, dtype=np.float32)
        return weights


def _add_up(lists: Sequence[Postings], lengths: NDArray[np.float32], scores: NDArray[np.float32]) -> None:
    """Adds what some terms say to the scores of all documents of a segment."""
    for slots, counts, most in lists:
        # Wide indices and additions in place are several times as fast as what would be shorter to write.
        wide = slots.astype(np.int64)
        weights = lengths.take(wide)
        weights += counts
        np.divide(counts, weights, out=weights)
        weights *= most
        np.add.at(scores, wide, weights)


def _looked_up(
    lists: Sequence[Postings], documents: NDArray[np.int64], lengths: NDArray[np.float32], scores: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns the scores of a few documents of a segment, and what some terms say added to them."""
    narrow, lengths = documents.astype(np.int32), lengths[documents]
    for slots, counts, most in lists:
        places = slots.searchsorted(narrow)
        np.minimum(places, len(slots) - 1, out=places)
        has = (slots.take(places) == narrow).nonzero()[0]
        if not len(has):
            continue
        weights = lengths[has]
        found = counts[places[has]]
        weights += found
        np.divide(found, weights, out=weights)
        weights *= most
        scores[has] += weights
    return scores


def _best(
    documents: NDArray[np.int64], scores: NDArray[np.float32], limit: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    order = np.lexsort((documents, -scores))[:limit]
    order = order[scores[order] > 0]
    return documents[order], scores[order]


def _lower_bound(scores: NDArray[np.float32], limit: int) -> float:
    """Returns what the `limit` best scores are at least: so many blocks have one that is as high."""
    blocks = -(-len(scores) // BLOCK)
    if blocks <= limit:
        return float(np.partition(scores, -limit)[-limit]) if len(scores) > limit else 0.0
    whole = len(scores) // BLOCK * BLOCK
    maxima = np.append(scores[:whole].reshape(-1, BLOCK).max(axis=1), scores[whole:].max(initial=0.0))
    return float(np.partition(maxima, -limit)[-limit])
