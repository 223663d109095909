"""Cuts texts into the tokens that the model knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tokenizers

from server.encoding.kind import TextKind
from server.errors import BundleError, NoRoom


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one text of a kind: at most the model's maximum of `ids`, cut from `whole_count` of them."""

    kind: TextKind
    ids: list[int]
    whole_count: int

    @property
    def cut(self) -> bool:
        """Whether the text is longer than the model can see."""
        return self.whole_count > len(self.ids)


class Tokenizer:
    """Prefixes and tokenizes texts. Safe to share between threads."""

    def __init__(self, path: Path, *, prefixes: dict[TextKind, str], max_tokens: int) -> None:
        self._prefixes = prefixes
        self._max_tokens = max_tokens
        # Two copies, because to cut is a state of the tokenizer: special tokens at the end must survive the cut.
        self._whole = _load(path)
        self._whole.no_truncation()
        self._cutting = _load(path)
        self._cutting.enable_truncation(max_tokens)
        self._special_tokens = len(self._whole.encode("").ids)

    def tokenize(self, texts: Sequence[tuple[str, TextKind]]) -> list[Tokens]:
        """Returns the tokens of each text, special tokens included, cut at the model's maximum."""
        prefixed = [self._prefixes[kind] + text for text, kind in texts]
        result = []
        encodings = self._whole.encode_batch_fast(prefixed)
        for (_, kind), text, encoding in zip(texts, prefixed, encodings, strict=True):
            ids = encoding.ids
            count = len(ids)
            if count > self._max_tokens:
                ids = self._cutting.encode(text).ids
            result.append(Tokens(kind, ids, count))
        return result

    def split(self, text: str, kind: TextKind, *, before: str = "", overlap_tokens: int) -> list[tuple[int, int]]:
        """Returns where the passages of a text start and end, in characters: one where the model sees all of it.

        Each passage fits the model behind its prefix and `before`, and shares some tokens with the one before it.

        Args:
            text: The text.
            kind: Its kind.
            before: What stands in front of every passage when it is encoded.
            overlap_tokens: Tokens that neighbours share, but at most half of a passage.
        """
        before = self._prefixes[kind] + before
        # No token is shorter than a byte.
        if len(before.encode()) + len(text.encode()) + self._special_tokens <= self._max_tokens:
            return [(0, len(text))]
        if len(self._whole.encode(before + text).ids) <= self._max_tokens:
            return [(0, len(text))]
        offsets = self._whole.encode(text, add_special_tokens=False).offsets
        room = self._max_tokens - len(self._whole.encode(before).ids)
        # Cut off from what surrounds it, a passage may have some tokens more: then all are made shorter.
        while (room := room * 15 // 16) > 0:
            passages = _windows(offsets, room, min(overlap_tokens, room // 2), end=len(text))
            encodings = self._whole.encode_batch_fast([before + text[start:end] for start, end in passages])
            if all(len(each.ids) <= self._max_tokens for each in encodings):
                return passages
        raise NoRoom(self._max_tokens)


def _windows(offsets: Sequence[tuple[int, int]], size: int, overlap: int, *, end: int) -> list[tuple[int, int]]:
    """Returns windows over tokens, in characters; together they cover everything from 0 to `end`."""
    starts = range(0, max(1, len(offsets) - overlap), size - overlap)
    windows = [(offsets[start][0], offsets[min(start + size, len(offsets)) - 1][1]) for start in starts]
    windows[0] = (0, windows[0][1])
    windows[-1] = (windows[-1][0], end)
    return windows


def _load(path: Path) -> tokenizers.Tokenizer:
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # The library raises bare Exception for whatever it cannot read.
        raise BundleError(f"{path} is not a tokenizer: {error}; export the model again") from None
    tokenizer.no_padding()
    return tokenizer
