"""Cuts texts into the tokens that the model knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from server.encoding.kind import TextKind
from server.encoding.segmenter import open_segmenter
from server.errors import NoRoom


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one text of a kind: at most the model's maximum of `ids`, cut from `whole_count` of them."""

    kind: TextKind
    ids: list[int]
    whole_count: int


class Tokenizer:
    """Prefixes and tokenizes texts. Safe to share between threads."""

    def __init__(self, path: Path, *, prefixes: dict[TextKind, str], max_tokens: int) -> None:
        self._prefixes = prefixes
        self._max_tokens = max_tokens
        self._segmenter = open_segmenter(path)

    def tokenize(self, texts: Sequence[tuple[str, TextKind]]) -> list[Tokens]:
        """Returns the tokens of each text, special tokens included, cut at the model's maximum."""
        segmented = self._segmenter.segment(
            [self._prefixes[kind] + text for text, kind in texts], max_tokens=self._max_tokens
        )
        return [Tokens(kind, ids, count) for (_, kind), (ids, count) in zip(texts, segmented, strict=True)]

    def split(self, text: str, kind: TextKind, *, before: str = "", overlap_tokens: int) -> list[tuple[int, int]]:
        """Returns where the passages of a text start and end, in characters: one where the model sees all of it.

        Each passage fits the model after its prefix and `before`. Neighbours share `overlap_tokens`, but at most half
        of a passage.
        """
        before = self._prefixes[kind] + before
        if self._fit([before + text]):
            return [(0, len(text))]
        offsets = self._segmenter.offsets(text)
        ((_, before_count),) = self._segmenter.segment([before], max_tokens=self._max_tokens)
        room = self._max_tokens - before_count
        # Cut off from what surrounds it, a passage may have some tokens more: then all are made shorter.
        while (room := room * 15 // 16) > 0:
            passages = _windows(offsets, room, min(overlap_tokens, room // 2), end=len(text))
            if self._fit([before + text[start:end] for start, end in passages]):
                return passages
        raise NoRoom(self._max_tokens)

    def _fit(self, texts: Sequence[str]) -> bool:
        """Returns whether the model sees all of each text, prefix included."""
        segmented = self._segmenter.segment(texts, max_tokens=self._max_tokens)
        return all(count <= self._max_tokens for _, count in segmented)


def _windows(offsets: Sequence[tuple[int, int]], size: int, overlap: int, *, end: int) -> list[tuple[int, int]]:
    """Returns windows over tokens, in characters; together they cover everything from 0 to `end`."""
    starts = range(0, max(1, len(offsets) - overlap), size - overlap)
    windows = [(offsets[start][0], offsets[min(start + size, len(offsets)) - 1][1]) for start in starts]
    windows[0] = (0, windows[0][1])
    windows[-1] = (windows[-1][0], end)
    distinct: list[tuple[int, int]] = []
    for start, stop in windows:
        # A character of many tokens may be where two windows start, or where both end: the larger one has it all.
        if distinct and distinct[-1][0] == start:
            distinct[-1] = (start, stop)
        elif not distinct or distinct[-1][1] < stop:
            distinct.append((start, stop))
    return distinct
