"""Windows over the tokens of a text, which end with a sentence, or else with a word."""

import re
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

SENTENCE_END = re.compile(r"[.!?…]+(?=\s)|[。！？]+|(?=\n)")

WORD_END = re.compile(r"(?=\s)")


class _Cut(IntEnum):
    """Places between two tokens, from the worst to the best to cut a text at."""

    IN_WORD = 0
    AFTER_WORD = 1
    AFTER_SENTENCE = 2


def windows(
    text: str, offsets: NDArray[np.int32], *, size: int, overlap: int, at_sentences: bool
) -> list[tuple[int, int]]:
    """Returns the start and end of windows over a text, in characters, which together cover it.

    Args:
        text: The text.
        offsets: The start and end of each of its tokens `[N, 2]`, in characters.
        size: Maximum tokens of a window, 1 or more.
        overlap: Tokens that neighbours share, at most half of the first.
        at_sentences: Whether a window ends with a sentence, or else with a word, if one ends in its second half.
            Otherwise all but the last have `size` tokens.
    """
    cuts = _cuts(text, offsets) if at_sentences else np.zeros(len(offsets) + 1, dtype=np.uint8)
    count, start, end = len(offsets), 0, 0
    found: list[tuple[int, int]] = []
    while True:
        end = _end(cuts, start, size, after=end)
        found.append((int(offsets[start, 0]), int(offsets[end - 1, 1])))
        if end == count:
            break
        start = end - min(overlap, (end - start) // 2)
    found[0] = (0, found[0][1])
    found[-1] = (found[-1][0], len(text))
    return _distinct(found)


def _cuts(text: str, offsets: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Returns for each token, and the end, how good a cut before it is `[N + 1]`."""
    cuts = np.full(len(offsets) + 1, _Cut.IN_WORD, dtype=np.uint8)
    for kind, pattern in ((_Cut.AFTER_WORD, WORD_END), (_Cut.AFTER_SENTENCE, SENTENCE_END)):
        places = np.fromiter((match.end() for match in pattern.finditer(text)), dtype=np.int32)
        next_tokens = offsets[:, 1].searchsorted(places, "right")
        inner = next_tokens < len(offsets)
        places, next_tokens = places[inner], next_tokens[inner]
        cuts[next_tokens[offsets[next_tokens, 0] >= places]] = kind
    return cuts


def _end(cuts: NDArray[np.uint8], start: int, size: int, *, after: int) -> int:
    """Returns the token that follows a window, at the last of the best cuts in its second half and `after` another."""
    count = len(cuts) - 1
    if start + size >= count:
        return count
    first = max(start + size // 2, after + 1)
    second_half = cuts[first : start + size + 1]
    return first + int(np.flatnonzero(second_half == second_half.max())[-1])


def _distinct(windows: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Keeps the larger of two windows that start or end at the same character, which may have many tokens."""
    distinct: list[tuple[int, int]] = []
    for start, stop in windows:
        if distinct and distinct[-1][0] == start:
            distinct[-1] = (start, stop)
        elif not distinct or distinct[-1][1] < stop:
            distinct.append((start, stop))
    return distinct
