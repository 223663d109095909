"""A view of the lexical index: immutable segments, searched with BM25.

A search scores term by term, from the rarest to the most common. When few documents can still be among the best,
because the remaining terms can add too little or because a filter allows few, the search reads only the postings of
these documents from the remaining lists. Scores are exact either way.

The statistics are those of live documents only, so that the score of a document does not depend on which changes made
the index. The postings of dead documents are counted in those of the query's terms.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.lexical.segment import STORED, Segment
from server.lexical.statistics import LENGTH_WEIGHT, SATURATION, QueryTerms, TermStatistics, Totals
from server.snapshot import Arrays

FLOOR = np.float32(SATURATION * (1 - LENGTH_WEIGHT))
"""The part of BM25's denominator that no length changes."""

REST_SHARES = (0.5, 0.25)
"""As soon as the remaining terms can add at most one of these shares of the highest possible score, the search counts
the documents that can still be among the best: once for each share."""

WORTH_COUNTING = 2
"""It counts only if the remaining terms have at least one posting for every `WORTH_COUNTING` documents."""

ROUNDING = 1 + 1e-5
"""Factor that covers the rounding error of sums in 32 bits."""

LOOKED_UP_SHARE = 32
"""Looking up is faster if at most one document in this many is left."""

SMALLEST = float(np.finfo(np.float32).tiny)

GATHERED_SHARE = 8
"""Dead documents are looked up in the postings of a term if there are this many times as many postings. Otherwise, each
posting is looked up."""

BLOCK = 256
"""Documents in a block. `_lower_bound` uses only the highest score of each block."""


class LexicalHits(NamedTuple):
    """The best documents of a query, best first; among equal scores, the lower slot first."""

    slots: NDArray[np.int64]
    scores: NDArray[np.float32]
    """BM25 scores, above 0: documents without any term of the query are not hits."""


class Postings(NamedTuple):
    """The documents of a segment that have a term, its frequency in each, and the most that it can add to a score."""

    slots: NDArray[np.int32]
    counts: NDArray[np.uint8]
    most: np.float32


class Dead(NamedTuple):
    """The dead documents of a segment: their slots, relative to its first one, and for each slot whether it is dead."""

    slots: NDArray[np.int32]
    mask: NDArray[np.bool_]

    def among(self, postings: NDArray[np.int32]) -> int:
        """Returns how many of some ascending slots are dead."""
        if len(postings) <= GATHERED_SHARE * len(self.slots):
            return int(np.count_nonzero(self.mask.take(postings)))
        places = postings.searchsorted(self.slots)
        np.minimum(places, len(postings) - 1, out=places)
        return int(np.count_nonzero(postings.take(places) == self.slots))


class LexicalView(TermStatistics):
    """An immutable view, safe to search from many threads at once."""

    def __init__(self, segments: Sequence[Segment], live: NDArray[np.bool_] | None = None) -> None:
        """Takes the segments, and for each slot whether its document is live; None if all are."""
        self.segments = tuple(segments)
        self._live = live
        self._lengths: list[tuple[np.float32, NDArray[np.float32]] | None] = [None] * len(self.segments)

    def search(self, query: str, *, limit: int, allowed: NDArray[np.bool_] | None = None) -> LexicalHits:
        """Returns the `limit` best of the documents `allowed` by slot; fewer if fewer have a term of the query."""
        return self.score(self.query_terms(query), limit=limit, allowed=allowed)

    def score(self, query_terms: QueryTerms, *, limit: int, allowed: NDArray[np.bool_] | None = None) -> LexicalHits:
        """Does the same for the terms of a query, whose statistics may be those of more documents."""
        slots, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for place, segment in enumerate(self.segments):
            own = slice(segment.first_slot, segment.first_slot + segment.document_count)
            found = self._best_of(place, query_terms, limit, None if allowed is None else allowed[own])
            slots.append(found.slots + segment.first_slot)
            scores.append(found.scores)
        return _best(np.concatenate(slots), np.concatenate(scores), limit)

    @property
    def arrays(self) -> Arrays:
        """The arrays of a snapshot."""
        return {
            f"{number}.{name}": getattr(segment, name)
            for number, segment in enumerate(self.segments)
            for name in STORED
        }

    def counts_of(self, terms: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Returns for each term how many live documents have it."""
        documents = np.zeros(len(terms), np.int64)
        for segment, dead in zip(self.segments, self._dead, strict=True):
            places, sizes = segment.places(terms)
            documents += sizes
            if dead is not None:
                for term in np.flatnonzero(sizes).tolist():
                    start = segment.starts[places[term]]
                    documents[term] -= dead.among(segment.slots[start : start + sizes[term]])
        return documents

    @cached_property
    def _dead(self) -> list[Dead | None]:
        """The dead documents of each segment, None if there are none."""
        found: list[Dead | None] = []
        for segment in self.segments:
            dead = None
            if self._live is not None:
                mask = ~self._live[segment.first_slot : segment.first_slot + segment.document_count]
                dead = Dead(np.flatnonzero(mask).astype(np.int32), mask) if mask.any() else None
            found.append(dead)
        return found

    @cached_property
    def totals(self) -> Totals:
        """The live documents and their length."""
        documents = sum(segment.document_count for segment in self.segments)
        length = sum(segment.total_length for segment in self.segments)
        for segment, dead in zip(self.segments, self._dead, strict=True):
            if dead is not None:  # Lengths are whole numbers: the sum of the others is exact.
                documents -= len(dead.slots)
                length -= float(segment.lengths[dead.slots].sum(dtype=np.float64))
        return Totals(documents, length)

    def _best_of(
        self, place: int, query_terms: QueryTerms, limit: int, allowed: NDArray[np.bool_] | None
    ) -> LexicalHits:
        """Returns the best documents of a segment, with slots relative to the segment's first."""
        segment, lengths = self.segments[place], self._effective_lengths(place, query_terms.slope)
        places, sizes = segment.places(query_terms.terms)
        known = sizes > 0
        places, sizes, most = places[known], sizes[known], query_terms.most[known]
        lists = [
            Postings(segment.slots[start : start + size], segment.counts[start : start + size], weight)
            for start, size, weight in zip(segment.starts[places].tolist(), sizes.tolist(), most, strict=True)
        ]
        few = segment.document_count // LOOKED_UP_SHARE
        if allowed is not None and np.count_nonzero(allowed) <= few:
            left = np.flatnonzero(allowed)
            return _best(left, _look_up(lists, left, lengths, np.zeros(len(left), np.float32)), limit)
        scores = np.zeros(segment.document_count, np.float32)
        # By position: the most that the terms from there on can add to a score, and the number of their postings.
        rest = (
            np.append(np.cumsum((most * _largest_weights(segment, places, query_terms.slope))[::-1])[::-1], 0.0)
            * ROUNDING
        )
        work = np.append(np.cumsum(sizes[::-1])[::-1], 0)
        done = 0
        for share in REST_SHARES:
            until = int(np.searchsorted(-rest, -share * rest[0]))
            if work[until] * WORTH_COUNTING < segment.document_count:
                break
            _add_up(lists[done:until], lengths, scores)
            done = until
            if allowed is not None:
                scores *= allowed
            bound = _lower_bound(scores, limit) - rest[done]
            if bound > 0 and np.count_nonzero(scores >= bound) <= few:
                left = np.flatnonzero(scores >= bound)
                return _best(left, _look_up(lists[done:], left, lengths, scores[left]), limit)
        _add_up(lists[done:], lengths, scores)
        if allowed is not None:
            scores *= allowed
        left = np.flatnonzero(scores >= max(_lower_bound(scores, limit), SMALLEST))
        return _best(left, scores[left], limit)

    def _effective_lengths(self, place: int, slope: np.float32) -> NDArray[np.float32]:
        """Returns for each document of a segment the part of BM25's denominator that depends on its length."""
        known = self._lengths[place]
        if known is None or known[0] != slope:
            known = self._lengths[place] = slope, FLOOR + slope * self.segments[place].lengths
        return known[1]


def _largest_weights(segment: Segment, places: NDArray[np.int64], slope: np.float32) -> NDArray[np.float32]:
    """Returns for each term an upper bound of the share of its limit that it reaches in a document."""
    spans = FLOOR / segment.largest_counts[places] + slope * segment.smallest_spans[places]
    weights: NDArray[np.float32] = np.reciprocal(1 + spans, dtype=np.float32)
    return weights


def _add_up(lists: Sequence[Postings], lengths: NDArray[np.float32], scores: NDArray[np.float32]) -> None:
    """Adds the scores of terms to those of all documents of a segment."""
    for slots, counts, most in lists:
        # With 64-bit indices NumPy need not convert them; in-place arithmetic allocates no arrays.
        wide = slots.astype(np.int64)
        weights = lengths.take(wide)
        weights += counts
        np.divide(counts, weights, out=weights)
        weights *= most
        np.add.at(scores, wide, weights)


def _look_up(
    lists: Sequence[Postings], documents: NDArray[np.int64], lengths: NDArray[np.float32], scores: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Adds the scores of terms to those of a few documents of a segment, and returns them."""
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


def _best(documents: NDArray[np.int64], scores: NDArray[np.float32], limit: int) -> LexicalHits:
    order = np.lexsort((documents, -scores))[:limit]
    order = order[scores[order] > 0]
    return LexicalHits(documents[order], scores[order])


def _lower_bound(scores: NDArray[np.float32], limit: int) -> float:
    """Returns a lower bound of the `limit` best scores: at least `limit` documents have a score as high."""
    blocks = -(-len(scores) // BLOCK)
    if blocks <= limit:
        return float(np.partition(scores, -limit)[-limit]) if len(scores) > limit else 0.0
    whole = len(scores) // BLOCK * BLOCK
    maxima = np.append(scores[:whole].reshape(-1, BLOCK).max(axis=1), scores[whole:].max(initial=0.0))
    return float(np.partition(maxima, -limit)[-limit])
