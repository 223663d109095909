"""A segment: the inverted index of a run of documents. Immutable.

The documents with `terms[i]` are `slots[starts[i]:starts[i + 1]]`, ascending and relative to `first_slot`; `counts` is
the term's frequency in each. The last three fields are computed from the others. `largest_counts` and `smallest_spans`
(of length / count) bound the score that a term can add to any document.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from server.lexical.tokens import terms_of

STORED = ("lengths", "terms", "starts", "slots", "counts")
"""The arrays of a segment from which the others are computed."""

MOST_COUNTED = 255
"""Largest frequency of a term in a document that is counted."""


class Segment(NamedTuple):
    """The postings of the documents from `first_slot` on."""

    first_slot: int
    lengths: NDArray[np.float32]
    terms: NDArray[np.uint64]
    starts: NDArray[np.int64]
    slots: NDArray[np.int32]
    counts: NDArray[np.uint8]
    largest_counts: NDArray[np.uint8]
    smallest_spans: NDArray[np.float32]
    total_length: float

    @classmethod
    def of(  # noqa: PLR0917
        cls,
        first_slot: int,
        lengths: NDArray[np.float32],
        terms: NDArray[np.uint64],
        starts: NDArray[np.int64],
        slots: NDArray[np.int32],
        counts: NDArray[np.uint8],
    ) -> Self:
        """Returns the segment of these arrays. `lengths` holds the number of terms of each document."""
        if not len(terms):
            return cls(first_slot, lengths, terms, starts, slots, counts, counts, np.zeros(0, np.float32), 0.0)
        spans = lengths.take(slots)
        spans /= counts
        largest_counts = np.maximum.reduceat(counts, starts[:-1])
        smallest_spans = np.minimum.reduceat(spans, starts[:-1])
        total_length = float(lengths.sum(dtype=np.float64))
        return cls(first_slot, lengths, terms, starts, slots, counts, largest_counts, smallest_spans, total_length)

    @property
    def document_count(self) -> int:
        """Number of documents."""
        return len(self.lengths)

    @property
    def posting_count(self) -> int:
        """Number of postings: pairs of a term and a document that has it."""
        return len(self.slots)

    def places(self, terms: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the position of each term in `self.terms`, and the number of documents with it, 0 if unknown."""
        if not len(self.terms):
            nothing = np.zeros(len(terms), np.int64)
            return nothing, nothing
        places = np.minimum(self.terms.searchsorted(terms), len(self.terms) - 1)
        sizes = self.starts[places + 1] - self.starts[places]
        sizes[self.terms[places] != terms] = 0
        return places, sizes


def segment_of(documents: Sequence[Sequence[str]], *, first_slot: int) -> Segment:
    """Returns the segment of documents, each given as all its texts."""
    codes, owners = terms_of(["\n".join(texts) for texts in documents])
    order = np.argsort(codes, kind="stable")  # Stable: documents stay in order within a term.
    codes, owners = codes[order], owners[order]
    changes = np.ones(len(codes), dtype=bool)
    changes[1:] = (codes[1:] != codes[:-1]) | (owners[1:] != owners[:-1])
    firsts = np.flatnonzero(changes)
    counts = np.diff(firsts, append=len(codes))
    terms, starts = np.unique(codes[firsts], return_index=True)
    return Segment.of(
        first_slot=first_slot,
        lengths=np.bincount(owners, minlength=len(documents)).astype(np.float32),
        terms=terms,
        starts=np.append(starts, len(firsts)).astype(np.int64),
        slots=owners[firsts].astype(np.int32),
        counts=np.minimum(counts, MOST_COUNTED).astype(np.uint8),
    )


def merged(segments: Sequence[Segment]) -> Segment:
    """Merges consecutive segments into one, in time linear in their postings."""
    terms = np.unique(np.concatenate([segment.terms for segment in segments]))
    places = [np.searchsorted(terms, segment.terms) for segment in segments]
    sizes = np.zeros(len(terms), np.int64)
    for segment, place in zip(segments, places, strict=True):
        sizes[place] += np.diff(segment.starts)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    free = starts[:-1].copy()
    slots = np.empty(starts[-1], np.int32)
    counts = np.empty(starts[-1], np.uint8)
    for segment, place in zip(segments, places, strict=True):
        own = np.diff(segment.starts)
        target = np.repeat(free[place] - segment.starts[:-1], own)
        target += np.arange(segment.posting_count)
        slots[target] = segment.slots + (segment.first_slot - segments[0].first_slot)
        counts[target] = segment.counts
        free[place] += own
    lengths = np.concatenate([segment.lengths for segment in segments])
    return Segment.of(segments[0].first_slot, lengths, terms, starts, slots, counts)
