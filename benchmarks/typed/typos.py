"""Typing errors: one key of one word is wrong, missing, pressed twice, or pressed too early.

In Korean they are made in the keys and not in the syllables, since a wrong key also moves the letters after it into
other syllables: 카드 without its second key is 칻.
"""

import itertools
import random
import re
from collections.abc import Callable, Iterator

from server.korean.keyboard import as_english, as_korean

ROWS = (("qwertyuiop", 0.0), ("asdfghjkl", 0.25), ("zxcvbnm", 0.75))
"""The keys of each row, and how far the row is shifted to the right, in keys."""

REACH = 1.2
"""Greatest distance of neighbouring keys."""

WORD = re.compile("[가-힣]{2,}")
ENGLISH_WORD = re.compile("[A-Za-z]{4,}")

PLACES = {
    key: complex(shift + column, row) for row, (keys, shift) in enumerate(ROWS) for column, key in enumerate(keys)
}
NEIGHBOURS = {
    key: [other for other, there in PLACES.items() if other != key and abs(here - there) <= REACH]
    for key, here in PLACES.items()
}
"""The keys next to each key."""

Error = Callable[[str], Iterator[str]]
"""Yields every form of a word's keys with one error."""


def with_neighbour(keys: str) -> Iterator[str]:
    """Yields the keys with each one replaced by each of its neighbours."""
    for place, key in enumerate(keys):
        for other in NEIGHBOURS[key.lower()]:
            yield keys[:place] + other + keys[place + 1 :]


def with_missing(keys: str) -> Iterator[str]:
    """Yields the keys without each one."""
    for place in range(len(keys)):
        yield keys[:place] + keys[place + 1 :]


def with_doubled(keys: str) -> Iterator[str]:
    """Yields the keys with each one twice."""
    for place, key in enumerate(keys):
        yield keys[:place] + key + keys[place:]


def with_swapped(keys: str) -> Iterator[str]:
    """Yields the keys with each pair of neighbours swapped."""
    for place, (first, second) in enumerate(itertools.pairwise(keys)):
        if first != second:
            yield keys[:place] + second + first + keys[place + 2 :]


ERRORS: tuple[Error, ...] = (with_neighbour, with_missing, with_doubled, with_swapped)


def mistyped(text: str, chance: random.Random, *, error: Error) -> str | None:
    """Returns a text with an error in one of its Korean words; None if no word has two syllables."""
    return _mistyped(text, chance, WORD, lambda word: as_korean(chance.choice(list(error(as_english(word))))))


def mistyped_in_english(text: str, chance: random.Random) -> str | None:
    """Returns a text with an error in one of its English words; None if no word has four letters."""
    error = chance.choice(ERRORS)
    return _mistyped(text, chance, ENGLISH_WORD, lambda word: chance.choice(list(error(word))))


def _mistyped(text: str, chance: random.Random, pattern: re.Pattern[str], wrong: Callable[[str], str]) -> str | None:
    words = list(pattern.finditer(text))
    if not words:
        return None
    word = chance.choice(words)
    return text[: word.start()] + wrong(word[0]) + text[word.end() :]
