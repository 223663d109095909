"""Ways to cut texts into terms for BM25."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from export.errors import ExportError
from server.lexical.tokens import fold

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
    """Returns a way to cut by Kiwi, an analyser of Korean. Raises ExportError if it is not installed."""
    try:
        from kiwipiepy import Kiwi
    except ImportError:
        raise ExportError("--bm25 kiwi needs Kiwi: pip install 'kiwipiepy>=0.24,<0.25'") from None
    kiwi = Kiwi()

    def split(texts: Sequence[str]) -> list[list[str]]:
        analysed = kiwi.tokenize([fold(text) for text in texts])
        return [[token.form for token in tokens if token.tag.startswith(CONTENT)] for tokens in analysed]

    return split


SPLITS: dict[str, Callable[[], Split]] = {"words": lambda: words, "bigrams": lambda: bigrams, "kiwi": morphemes}
"""The ways by the name that `--bm25` has for them."""
