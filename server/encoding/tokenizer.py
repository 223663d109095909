"""Turns texts into the model's tokens, and cuts long texts into passages."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.composition import align, composed
from server.encoding.kind import TextKind
from server.encoding.segmenter import open_segmenter
from server.encoding.windows import windows
from server.errors import UnfitText

FITTED_TEXTS = 32
"""Texts that are segmented at a time to see whether they fit."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one text. `ids` are cut to the model's maximum; `whole_count` is their number before the cut."""

    kind: TextKind
    ids: list[int]
    whole_count: int


class Tokenizer:
    """Prefixes, composes (NFC) and tokenizes texts. Safe to share between threads.

    `fixed_tokens` is the number of tokens of an empty text of each kind: its prefix and the special tokens.
    """

    def __init__(self, path: Path, *, prefixes: dict[TextKind, str], max_tokens: int) -> None:
        self._prefixes = prefixes
        self._max_tokens = max_tokens
        self._segmenter = open_segmenter(path)
        segmented = self._segmenter.segment(list(prefixes.values()), max_tokens=max_tokens)
        self.fixed_tokens = {kind: count for kind, (_, count) in zip(prefixes, segmented, strict=True)}

    def tokenize(self, texts: Sequence[tuple[str, TextKind]]) -> list[Tokens]:
        """Returns the tokens of each text, special tokens included, cut at the model's maximum."""
        segmented = self._segment([self._prefixes[kind] + text for text, kind in texts])
        return [Tokens(kind, ids, count) for (_, kind), (ids, count) in zip(texts, segmented, strict=True)]

    def split(
        self, text: str, kind: TextKind, *, before: str = "", overlap_tokens: int, most_tokens: int | None = None
    ) -> list[tuple[int, int]]:
        """Returns the start and end of each passage of a text, in characters. A text that fits is one passage.

        Each passage fits the model together with the prefix and `before`. Neighbours share `overlap_tokens`, at most
        half a passage. With `most_tokens`, a passage has at most so many tokens of the text, and ends with a sentence
        or a word, if one ends in its second half. Raises UnfitText if the prefix and `before` leave no room for the
        text.
        """
        before = self._prefixes[kind] + before
        fits = self._fit([before + text])
        if fits and most_tokens is None:
            return [(0, len(text))]
        offsets = self._offsets(text)
        if fits and most_tokens is not None and len(offsets) <= most_tokens:
            return [(0, len(text))]
        ((_, before_count),) = self._segment([before])
        room = self._max_tokens - before_count
        # Without the text around it, a passage may have a few more tokens; then all passages are made shorter.
        while (room := room * 15 // 16) > 0:
            size = room if most_tokens is None else min(room, most_tokens)
            passages = windows(text, offsets, size=size, overlap=overlap_tokens, at_sentences=most_tokens is not None)
            if self._fit([before + text[start:end] for start, end in passages]):
                return passages
        limit = f"the model sees {self._max_tokens} tokens of title and text"
        raise UnfitText(f"has no room after its title: {limit}; shorten the title")

    def _fit(self, texts: Sequence[str]) -> bool:
        """Returns whether each text, prefix included, fits the model."""
        # In batches: freeing the tokens of a million characters at once would hold the GIL for long.
        batches = (texts[start : start + FITTED_TEXTS] for start in range(0, len(texts), FITTED_TEXTS))
        return all(count <= self._max_tokens for batch in batches for _, count in self._segment(batch))

    def _segment(self, texts: Sequence[str]) -> list[tuple[list[int], int]]:
        return self._segmenter.segment([composed(text) for text in texts], max_tokens=self._max_tokens)

    def _offsets(self, text: str) -> NDArray[np.int32]:
        """Returns the start and end of each token `[N, 2]` in the text as it was written."""
        if composed(text) == text:
            return self._segmenter.offsets(text)
        aligned = align(text)
        return aligned.written(self._segmenter.offsets(aligned.text))
