"""The lexical index: takes documents as they come, and gives views that search them.

One thread appends. What it appends is a small segment of its own at once, so that the next view has it; small segments
are joined at once, large ones by a background thread, so that a view has some ten segments at most and no append
waits for a long merge.
"""

import threading
from collections.abc import Sequence
from typing import Self

from server.lexical.segment import STORED, Segment, merged, segment_of
from server.lexical.view import LexicalView
from server.snapshot import Arrays

POSTINGS_JOINED_AT_ONCE = 20_000
"""Postings that the appending thread joins itself: some 0.5 ms of work."""

GROWTH = 2
"""A segment is joined with all that came after it, as soon as they have one part in so many of its postings."""


class LexicalIndex:
    """Searched through its views. `append` and `view` are for one thread."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._document_count = 0
        self._lock = threading.Lock()
        self._merging: threading.Thread | None = None
        self._held_slots = 0  # Documents before this one are being joined in the background.

    def __len__(self) -> int:
        return self._document_count

    def append(self, documents: Sequence[Sequence[str]]) -> None:
        """Takes documents into the next slots, each with all its texts: titles, texts and examples."""
        if not documents:
            return
        segment = segment_of(documents, first_slot=self._document_count)
        with self._lock:
            self._segments.append(segment)
            self._document_count += len(documents)
            free = sum(segment.first_slot < self._held_slots for segment in self._segments)
            first = free + _first_to_join(self._segments[free:], POSTINGS_JOINED_AT_ONCE)
            if first < len(self._segments) - 1:
                self._segments[first:] = [merged(self._segments[first:])]
            if self._merging is None and _first_to_join(self._segments) < len(self._segments) - 1:
                self._merging = threading.Thread(target=self._merge, name="lexical-merge", daemon=True)
                self._merging.start()

    def view(self) -> LexicalView:
        """Returns what has been appended until now, to be searched."""
        with self._lock:
            return LexicalView(self._segments)

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
        """Joins segments until none is due. Appending goes on meanwhile: it joins only what comes after these."""
        try:
            while True:
                with self._lock:
                    due = self._segments[_first_to_join(self._segments) :]
                    if len(due) == 1:
                        self._merging = None
                        return
                    self._held_slots = self._document_count
                joined = merged(due)
                with self._lock:
                    at = next(place for place, segment in enumerate(self._segments) if segment is due[0])
                    self._segments[at : at + len(due)] = [joined]
                    self._held_slots = 0
        except BaseException:
            # Searches stay right, and get slower. The next append tries again.
            with self._lock:
                self._merging, self._held_slots = None, 0
            raise


def _first_to_join(segments: Sequence[Segment], most_postings: int | None = None) -> int:
    """Returns the first segment that is to be joined with all after it: the last one, if none is."""
    first, after = len(segments) - 1, segments[-1].posting_count
    for place in range(len(segments) - 2, -1, -1):
        own = segments[place].posting_count
        if most_postings is not None and own + after > most_postings:
            break
        if own <= GROWTH * after:
            first = place
        after += own
    return first
