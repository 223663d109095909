"""Ways to cut texts into terms for BM25."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from export.errors import ExportError
from server.lexical.tokens import fold

if TYPE_CHECKING:
    from kiwipiepy import Kiwi

Split = Callable[[Sequence[str]], list[list[str]]]
"""Returns the terms of each text, in their order; a term that occurs twice is there twice."""

WORD = re.compile(r"[^\W_]+")

CONTENT = ("N", "V", "XR", "SL", "SH", "SN")
"""Beginnings of the tags of morphemes with a meaning: nouns, verbs and adjectives, roots, Latin, Chinese, numbers."""


def words(texts: Sequence[str]) -> list[list[str]]:
    """Returns the words: letters and digits, without differences of case and width."""
    return [WORD.findall(fold(text)) for text in texts]


def bigrams(texts: Sequence[str]) -> list[list[str]]:
    """Returns the words, and the pairs of neighbouring characters inside them: Korean words have many endings."""
    return [each + [f"+{word[at : at + 2]}" for word in each for at in range(len(word) - 1)] for each in words(texts)]


def morphemes() -> Split:
    """Returns a way to cut by Kiwi. Raises ExportError if it is not installed."""
    kiwi = open_kiwi("--bm25 kiwi")

    def split(texts: Sequence[str]) -> list[list[str]]:
        analysed = kiwi.tokenize([fold(text) for text in texts])
        return [[token.form for token in tokens if token.tag.startswith(CONTENT)] for tokens in analysed]

    return split


def open_kiwi(flag: str) -> Kiwi:
    """Returns Kiwi, an analyser of Korean, which `flag` asks for. Raises ExportError if it is not installed."""
    try:
        from kiwipiepy import Kiwi
    except ImportError:
        raise ExportError(f"{flag} needs Kiwi: pip install 'kiwipiepy>=0.24,<0.25'") from None
    return Kiwi()


SPLITS: dict[str, Callable[[], Split]] = {"words": lambda: words, "bigrams": lambda: bigrams, "kiwi": morphemes}
"""The ways by the name that `--bm25` has for them."""
