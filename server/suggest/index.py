"""The index of completions: documents' completions are added and removed, and its views find suggestions.

One thread writes. Each write makes a small segment at once, which is merged with earlier ones as long as those are not
much larger. Removed completions stay in their segments, marked, until as many are removed as remain.
"""

import logging
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from server.growing import Growing
from server.suggest.completion import Completion
from server.suggest.run import MOST_COMPLETIONS, weight_bits
from server.suggest.segment import Segment, Words, merged
from server.suggest.view import Stored, SuggestView

log = logging.getLogger(__name__)

GROWTH = 16
"""A segment is merged with the one before it if that has at most this many times its words, so there are few."""

MERGED_ALWAYS = 1024
"""Words of a segment that is merged with the next in any case, since that takes well below a millisecond."""

AT_ONCE = 16384
"""Completions of which a segment is made; more become several, to take less memory."""

MOST_LANGUAGES = 1024
"""Most different codes. Texts with a further one count as without a language."""

LEAST_REMOVED = 1024
"""Removed completions that are always left in the segments."""


class SuggestIndex:
    """The completions of all documents, found through views. Only one thread may write and call `view`."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._texts: list[str] = []  # Views read the texts of their own completions only.
        self._slots = Growing(np.zeros(0, np.int32))
        self._sources = Growing(np.zeros(0, np.uint8))
        self._languages = Growing(np.zeros(0, np.uint16))
        self._weights = Growing(np.zeros(0, np.float32))
        self._codes = {"": 0}
        self._kept: NDArray[np.bool_] | None = None
        self._removed = 0
        self._is_full = False

    def __len__(self) -> int:
        """Returns the number of completions."""
        return len(self._texts) - self._removed

    def add(self, documents: Iterable[tuple[int, Sequence[Completion]]]) -> None:
        """Adds completions of documents, each given with its slot. Those of no document have a slot below 0.

        Texts without a letter or digit are never found.
        Beyond 2^24 completions, further ones are left out with a warning.
        """
        completions = ((slot, completion) for slot, own in documents for completion in own)
        segments = []
        while batch := list(islice(completions, min(AT_ONCE, MOST_COMPLETIONS - len(self._texts)))):
            segments.append(self._segment(batch))
        if len(self._texts) == MOST_COMPLETIONS and not self._is_full:
            log.warning("there are %d completions; suggestions have no further texts", MOST_COMPLETIONS)
        self._is_full = len(self._texts) == MOST_COMPLETIONS
        if not segments:
            return
        count = sum(len(segment.letters.ranks) for segment in segments)
        while self._segments:
            before = len(self._segments[-1].letters.ranks)
            if before > max(GROWTH * count, MERGED_ALWAYS):
                break
            segments.insert(0, self._segments.pop())
            count += before
        self._segments.append(merged(segments) if len(segments) > 1 else segments[0])

    def remove(self, slots: Sequence[int]) -> None:
        """Removes all completions of the documents with these slots."""
        stored = self._slots.view()
        own = stored == slots[0] if len(slots) == 1 else np.isin(stored, slots)
        kept = np.ones(len(own), np.bool_) if self._kept is None else self._kept.copy()
        kept[own] = False
        removed = len(kept) - int(np.count_nonzero(kept))
        if removed == self._removed:
            return
        self._kept, self._removed = kept, removed
        if removed > max(LEAST_REMOVED, len(self)):
            self._compact()

    def weigh(self, demands: NDArray[np.float32]) -> None:
        """Replaces the demand of all completions by that of their documents, given by slot; 0 for other slots."""
        slots = self._slots.view()
        known = (slots >= 0) & (slots < len(demands))
        own = np.zeros(len(slots), np.float32)
        own[known] = demands[slots[known]]
        weights = weight_bits(self._weights.view(), own)
        self._segments = [segment.reweighed(weights) for segment in self._segments]

    def view(self) -> SuggestView:
        """Returns a view of the current completions."""
        stored = Stored(
            self._texts,
            self._slots.view(),
            self._sources.view(),
            self._languages.view(),
            self._weights.view(),
            self._kept,
            tuple(self._codes),
        )
        return SuggestView(tuple(self._segments), stored)

    def _segment(self, added: Sequence[tuple[int, Completion]]) -> Segment:
        """Stores completions, each given with its slot, and returns their segment."""
        words = Words()
        weights = np.array([completion.weight for _, completion in added], np.float32)
        demands = np.array([completion.demand for _, completion in added], np.float32)
        bits = weight_bits(weights, demands).tolist()
        for number, ((_, completion), weight) in enumerate(zip(added, bits, strict=True), len(self._texts)):
            words.add(completion, number, weight)
        self._texts.extend(completion.text for _, completion in added)
        self._slots.extend([slot for slot, _ in added])
        self._sources.extend([completion.source for _, completion in added])
        self._languages.extend([self._language(completion.language) for _, completion in added])
        self._weights.extend(weights)
        if self._kept is not None:
            self._kept = np.append(self._kept, np.ones(len(added), np.bool_))
        return words.segment()

    def _language(self, code: str) -> int:
        if len(self._codes) < MOST_LANGUAGES:
            self._codes.setdefault(code, len(self._codes))
        return self._codes.get(code, 0)

    def _compact(self) -> None:
        """Numbers the completions again, without the removed ones. Earlier views keep the old lists."""
        kept = self._kept
        assert kept is not None
        numbers = np.where(kept, np.cumsum(kept) - 1, -1)
        self._segments = [merged(self._segments, numbers)] if kept.any() else []
        self._texts = [text for text, keep in zip(self._texts, kept.tolist(), strict=True) if keep]
        self._slots = Growing(self._slots.view()[kept])
        self._sources = Growing(self._sources.view()[kept])
        self._languages = Growing(self._languages.view()[kept])
        self._weights = Growing(self._weights.view()[kept])
        self._kept, self._removed = None, 0
