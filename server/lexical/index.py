"""The lexical index: documents are appended to it, and its views search them.

One thread appends. Each append makes a small segment at once, so that the next view has it. The appending thread merges
small segments, a background thread large ones. So a view has few segments, and no append waits for a long merge.
"""

import threading
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from server.lexical.segment import STORED, Segment, merged, segment_of
from server.lexical.view import LexicalView
from server.snapshot import Arrays

POSTINGS_MERGED_AT_ONCE = 20_000
"""Most postings that the appending thread merges; larger merges happen in the background."""

GROWTH = 2
"""A segment is merged with all later ones as soon as it has at most this many times their postings."""


class LexicalIndex:
    """The index of all documents, searched through views. Only one thread may call `append` and `view`."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._document_count = 0
        self._lock = threading.Lock()
        self._merging: threading.Thread | None = None
        self._merging_slots = 0  # The background thread is merging segments of documents before this slot.

    def __len__(self) -> int:
        return self._document_count

    def append(self, documents: Sequence[Sequence[str]]) -> None:
        """Appends documents, which get the next slots. Each is given as all its titles, texts and examples."""
        if not documents:
            return
        segment = segment_of(documents, first_slot=self._document_count)
        with self._lock:
            self._segments.append(segment)
            self._document_count += len(documents)
            free = sum(segment.first_slot < self._merging_slots for segment in self._segments)
            first = free + _first_to_merge(self._segments[free:], POSTINGS_MERGED_AT_ONCE)
            if first < len(self._segments) - 1:
                self._segments[first:] = [merged(self._segments[first:])]
            if self._merging is None and _first_to_merge(self._segments) < len(self._segments) - 1:
                self._merging = threading.Thread(target=self._merge, name="lexical-merge", daemon=True)
                self._merging.start()

    def view(self, live: NDArray[np.bool_] | None = None) -> LexicalView:
        """Returns a view of all documents appended so far; `live` says which slots its statistics count, None all."""
        with self._lock:
            return LexicalView(self._segments, live)

    @classmethod
    def restored(cls, arrays: Arrays) -> Self:
        """Returns the index whose view had these arrays."""
        index = cls()
        for number in range(len(arrays) // len(STORED)):
            stored = {name: arrays[f"{number}.{name}"] for name in STORED}
            segment = Segment.of(index._document_count, **stored)
            index._segments.append(segment)
            index._document_count += segment.document_count
        return index

    def _merge(self) -> None:
        """Merges segments until none is due. Meanwhile `append` merges only later segments."""
        try:
            while True:
                with self._lock:
                    due = self._segments[_first_to_merge(self._segments) :]
                    if len(due) == 1:
                        self._merging = None
                        return
                    self._merging_slots = self._document_count
                joined = merged(due)
                with self._lock:
                    at = next(place for place, segment in enumerate(self._segments) if segment is due[0])
                    self._segments[at : at + len(due)] = [joined]
                    self._merging_slots = 0
        except BaseException:
            # Searches stay correct but get slower. The next append tries again.
            with self._lock:
                self._merging, self._merging_slots = None, 0
            raise


def _first_to_merge(segments: Sequence[Segment], most_postings: int | None = None) -> int:
    """Returns the first segment to merge with all later ones; the last segment if no merge is due."""
    first, after = len(segments) - 1, segments[-1].posting_count
    for place in range(len(segments) - 2, -1, -1):
        own = segments[place].posting_count
        if most_postings is not None and own + after > most_postings:
            break
        if own <= GROWTH * after:
            first = place
        after += own
    return first
