"""Turns texts into terms: words and the character bigrams inside them, as 64-bit numbers.

Korean particles are attached to nouns, so words alone seldom match: `적금` finds `적금을` by its bigram. Texts are
folded first: compatibility forms and widths (NFKC), case, and middle dots, which separate words. The code of a bigram
is its two code points; that of a word is a 63-bit hash.
"""

import functools
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.composition import composed
from server.sections import normalized, sections

TERMS_VERSION = f"2, Unicode {unicodedata.unidata_version}"
"""Version of the terms: equal versions turn a text into equal terms."""

MIDDLE_DOTS = str.maketrans(dict.fromkeys("·ㆍ•・‧∙･", " "))

CODE_POINTS = 0x110000
CODE_POINT_BITS = 21

UNKNOWN, SEPARATOR, IN_WORD, IGNORED = range(4)
"""Kinds of code points: separators end a word; letters, marks, numbers and symbols such as emoji are part of a word;
format characters such as soft hyphens are ignored. UNKNOWN marks code points that have not occurred yet."""

KINDS = {"L": IN_WORD, "M": IN_WORD, "N": IN_WORD, "So": IN_WORD, "Cf": IGNORED}
"""Kinds by Unicode category or its first letter; all others are separators."""

WORD_MARK = np.uint64(1 << 63)
"""The bit that is set in every word and in no bigram."""

BLOCK_CHARACTERS = 2**14
"""Characters that are processed at a time, since NumPy holds the GIL in some functions."""

HASH_BASE = 0x9E3779B97F4A7C15
MIXER = 0xBF58476D1CE4E5B9
LONGEST_HASHED = 64
"""Number of a word's first characters that its hash depends on."""

MASK = (1 << 64) - 1
POWERS = [pow(HASH_BASE, exponent + 1, 1 << 64) for exponent in range(LONGEST_HASHED)]
"""The factor of each character of a word in its hash, whose integers have 64 bits."""


class Places(NamedTuple):
    """The terms of a text, and where each one starts and ends, in code points."""

    codes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


def fold(text: str) -> str:
    """Returns a text with differences of width, case, composition and middle dots removed."""
    if text.isascii():
        return text.lower()
    return normalized("NFKC", normalized("NFKC", composed(text).translate(MIDDLE_DOTS)).casefold())


def terms_of(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Returns the terms of all texts, and for each term the position of its text, ascending.

    A term that occurs several times in a text is returned as many times. A text of more than `BLOCK_CHARACTERS` without
    whitespace is cut, and loses the bigram at the cut.
    """
    blocks: list[list[tuple[str, int]]] = [[]]
    characters = 0
    for position, text in enumerate(texts):
        for section in sections(fold(text), characters=BLOCK_CHARACTERS):
            if blocks[-1] and characters + len(section) > BLOCK_CHARACTERS:
                blocks.append([])
                characters = 0
            blocks[-1].append((section, position))
            characters += len(section)
    codes, positions = zip(*map(_terms_of_block, blocks), strict=True)
    return np.concatenate(codes), np.concatenate(positions)


def _terms_of_block(block: Sequence[tuple[str, int]]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Returns the terms of folded texts, each with its position."""
    # A newline ends each text, so that no word spans two texts or ends with the last character.
    folded = [f"{text}\n" for text, _ in block]
    points = np.frombuffer("".join(folded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    owners = np.repeat(np.array([position for _, position in block], dtype=np.int64), [len(each) for each in folded])
    kinds = _kinds_of(points)
    if (kinds == IGNORED).any():
        seen = kinds != IGNORED
        points, owners, kinds = points[seen], owners[seen], kinds[seen]
    codes, pairs, starts, _ = _terms_at(points, kinds)
    of_texts = np.concatenate([owners[pairs], owners[starts]])
    order = np.argsort(of_texts, kind="stable")
    return codes[order], of_texts[order]


def places_of(folded: str) -> Places:
    """Returns the terms of a folded text with their places, in no particular order."""
    points = np.frombuffer(f"{folded}\n".encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kinds = _kinds_of(points)
    seen = np.flatnonzero(kinds != IGNORED)
    codes, pairs, starts, ends = _terms_at(points[seen], kinds[seen])
    firsts, lasts = np.concatenate([pairs, starts]), np.concatenate([pairs + 1, ends - 1])
    return Places(codes, seen[firsts], seen[lasts] + 1)


def code_of_word(word: str) -> int:
    """Returns the code of a folded word, as `terms_of` returns it; it is far faster for a few words.

    A text with other characters than those of words has a code that no word has.
    """
    code = sum([(ord(character) + 1) * power for character, power in zip(word, POWERS, strict=False)]) & MASK
    code ^= code >> 31
    code = code * MIXER & MASK
    return code ^ code >> 29 | int(WORD_MARK)


def codes_with(places: Sequence[tuple[str, int]], points: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Returns the codes of folded words with other characters.

    Args:
        places: A word, and the place of one of its characters, for each row.
        points: The code points that stand there instead `[rows, others]`.
    """
    sums = [
        sum([(ord(each) + 1) * power for each, power in zip(word, POWERS, strict=False)])
        - ord(word[place]) * POWERS[place]
        for word, place in places
    ]
    powers = np.array([POWERS[place] for _, place in places], np.uint64)
    rest = np.array([each & MASK for each in sums], np.uint64)
    return _mixed(points.astype(np.uint64) * powers[:, None] + rest[:, None])


def code_of_pair(first: str, second: str) -> int:
    """Returns the code of two neighbouring characters of a folded word, as `terms_of` returns it."""
    return ord(first) << CODE_POINT_BITS | ord(second)


def _terms_at(
    points: NDArray[np.uint32], kinds: NDArray[np.uint8]
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Returns the codes of the pairs, then of the words; where each pair starts; where each word starts and ends.

    No code point is ignored, and the last one is a separator.
    """
    in_word = kinds == IN_WORD
    paired = np.flatnonzero(in_word[:-1] & in_word[1:])
    pairs = (points[paired].astype(np.uint64) << np.uint64(CODE_POINT_BITS)) | points[paired + 1]
    edges = np.flatnonzero(np.diff(in_word, prepend=False))
    starts, ends = edges[::2], edges[1::2]
    return np.concatenate([pairs, _hashes(points, starts, ends)]), paired, starts, ends


def _hashes(points: NDArray[np.uint32], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Returns a hash of each word: a polynomial of its code points, mixed so that every bit depends on all of them."""
    if not len(starts):
        return np.zeros(0, np.uint64)
    lengths = np.minimum(ends - starts, LONGEST_HASHED)
    firsts = np.cumsum(lengths) - lengths
    within = np.arange(int(lengths.sum())) - np.repeat(firsts, lengths)
    characters = points[np.repeat(starts, lengths) + within].astype(np.uint64)
    return _mixed(np.add.reduceat((characters + np.uint64(1)) * _powers()[within], firsts))


def _mixed(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns the codes of words with these sums, in which every bit depends on all characters. Changes the sums."""
    hashes ^= hashes >> np.uint64(31)
    hashes *= np.uint64(MIXER)
    hashes ^= hashes >> np.uint64(29)
    return hashes | WORD_MARK


@functools.cache
def _powers() -> NDArray[np.uint64]:
    return np.array(POWERS, dtype=np.uint64)


@functools.cache
def _known_kinds() -> NDArray[np.uint8]:
    """Returns the kinds of all code points that have occurred. Threads that add the same one write the same value."""
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
