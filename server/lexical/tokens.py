"""Texts as terms: the words of a text and the pairs of neighbouring characters inside them, as 64-bit numbers.

Korean particles are glued to nouns, so that words alone seldom match: `적금을` is found by `적금` through its pair of
characters. Texts are folded first: compatibility forms and widths (NFKC), case, and middle dots, which separate words.
A pair is known by its two code points; a word by a hash of all of them, in which two words meet once in 10^18.
"""

import functools
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TERMS_VERSION = f"1, Unicode {unicodedata.unidata_version}"
"""Texts have the same terms wherever this is the same."""

MIDDLE_DOTS = str.maketrans(dict.fromkeys("·ㆍ•・‧∙･", " "))

CODE_POINTS = 0x110000
CODE_POINT_BITS = 21

UNKNOWN, SEPARATOR, WRITTEN, UNSEEN = range(4)
"""Kinds of code points: a separator ends a word, a written one is part of a word, an unseen one is skipped (soft
hyphens, direction marks). Letters, marks, numbers and pictures are written."""

KINDS = {"L": WRITTEN, "M": WRITTEN, "N": WRITTEN, "So": WRITTEN, "Cf": UNSEEN}
"""Kinds by the category of Unicode or its first letter; all others are separators."""

WORD_MARK = np.uint64(1 << 63)
"""Set in every word and in no pair."""

HASH_BASE = 0x9E3779B97F4A7C15
LONGEST_HASHED = 64
"""Characters of a word that its hash looks at."""


def fold(text: str) -> str:
    """Returns a text without what its writer did not mean: width, case, composition, middle dots."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text.translate(MIDDLE_DOTS)).casefold()
    return unicodedata.normalize("NFKC", folded)


def terms_of(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Returns the terms of all texts, and for each term the position of its text, ascending.

    A term comes as often as it stands in the text.
    """
    # A line's end between them, so that no word spans two texts and none ends with the last character.
    folded = [f"{fold(text)}\n" for text in texts]
    points = np.frombuffer("".join(folded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    owners = np.repeat(np.arange(len(texts)), [len(each) for each in folded])
    kinds = _kinds_of(points)
    if (kinds == UNSEEN).any():
        seen = kinds != UNSEEN
        points, owners, kinds = points[seen], owners[seen], kinds[seen]
    written = kinds == WRITTEN
    paired = np.flatnonzero(written[:-1] & written[1:])
    pairs = (points[paired].astype(np.uint64) << np.uint64(CODE_POINT_BITS)) | points[paired + 1]
    edges = np.flatnonzero(np.diff(written, prepend=False))
    starts, ends = edges[::2], edges[1::2]
    codes = np.concatenate([pairs, _hashes(points, starts, ends)])
    of_texts = np.concatenate([owners[paired], owners[starts]])
    order = np.argsort(of_texts, kind="stable")
    return codes[order], of_texts[order]


def _hashes(points: NDArray[np.uint32], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Returns a hash for each word: a polynomial of its code points, mixed so that all bits depend on all."""
    if not len(starts):
        return np.zeros(0, np.uint64)
    lengths = np.minimum(ends - starts, LONGEST_HASHED)
    firsts = np.cumsum(lengths) - lengths
    within = np.arange(int(lengths.sum())) - np.repeat(firsts, lengths)
    characters = points[np.repeat(starts, lengths) + within].astype(np.uint64)
    hashes = np.add.reduceat((characters + np.uint64(1)) * _powers()[within], firsts)
    hashes ^= hashes >> np.uint64(31)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(29)
    return hashes | WORD_MARK


@functools.cache
def _powers() -> NDArray[np.uint64]:
    return np.array([pow(HASH_BASE, exponent + 1, 1 << 64) for exponent in range(LONGEST_HASHED)], dtype=np.uint64)


@functools.cache
def _known_kinds() -> NDArray[np.uint8]:
    """Returns the kinds of the code points that came so far; two threads that add one write the same."""
    return np.zeros(CODE_POINTS, dtype=np.uint8)


def _kinds_of(points: NDArray[np.uint32]) -> NDArray[np.uint8]:
    known = _known_kinds()
    kinds = known[points]
    unknown = points[kinds == UNKNOWN]
    if not len(unknown):
        return kinds
    for point in np.unique(unknown).tolist():
        category = unicodedata.category(chr(point))
        known[point] = KINDS.get(category) or KINDS.get(category[0], SEPARATOR)
    return known[points]
