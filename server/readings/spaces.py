"""Joins words that spaces divide by accident: 대 출, 신용 카 드, 마이너 스통장.

Real words are often short, so a space goes only if the catalogue has none of the parts, or they are single syllables,
and has what they are together.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from server.readings.vocabulary import Vocabulary

LEAST_WORD = 2
"""Syllables of a word at least that is one of two in a joined text: 카드분실 for 카드 and 분실."""

MOST_OF_LONG_PARTS = 12
"""Syllables of a text at most in which two parts of several syllables may be one word. In longer texts, many neighbours
are unknown."""

SYLLABLES = re.compile("[가-힣]+")

WORDS = frozenset("각것곧그꼭나내너네다더덜돈두둘만뭐몇못새세수안왜이잘저전제좀중집차첫한할")
"""Usual words of one syllable. In a longer query they do not begin a divided word: 카드값 안 내 is not 카드값 안내."""

DEPENDENT = frozenset("개거건것곳권년내데등때만명번분뿐수시외원월일자적점줄중지채회후")
"""Nouns of one syllable that follow other words: 받을 수 is not 받을수."""


def joined(words: Sequence[str], known: Sequence[bool], vocabulary: Vocabulary) -> str | None:
    """Returns the words of a text without the spaces that divide words of a catalogue; None if there are none.

    Args:
        words: The words.
        known: Whether the catalogue has each.
        vocabulary: The catalogue's words.
    """
    short = sum(map(len, words)) <= MOST_OF_LONG_PARTS
    places = [
        place
        for place, (before, after) in enumerate(pairwise(words))
        if _may_be_part(before, known[place])
        and _may_be_part(after, known[place + 1])
        and (short or len(before) == 1 or len(after) == 1)
        and (len(before) == 1 or after not in DEPENDENT)
    ]
    if not places:
        return None
    shares = vocabulary.pair_shares([words[place][-1] + words[place + 1][0] for place in places])
    runs = _runs([place for place, share in zip(places, shares, strict=True) if share])
    runs = [(start, end) for start, end in runs if end - start == len(words) or words[start] not in WORDS]
    if not runs:
        return None
    meant = _known([words[start:end] for start, end in runs], vocabulary)
    found = list(words)
    for (start, end), form in reversed(list(zip(runs, meant, strict=True))):
        if form:
            found[start:end] = form
    return " ".join(found) if any(meant) else None


def _may_be_part(word: str, known: bool) -> bool:
    return (len(word) == 1 or not known) and SYLLABLES.fullmatch(word) is not None


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """Returns start and end of each series of words, given the ascending places of those that go with the next one."""
    runs: list[tuple[int, int]] = []
    for place in places:
        start = runs.pop()[0] if runs and runs[-1][1] == place + 1 else place
        runs.append((start, place + 2))
    return runs


def _known(divided: Sequence[Sequence[str]], vocabulary: Vocabulary) -> list[Sequence[str]]:
    """Returns for each divided text the word of the catalogue that it is together, or two; nothing if it is neither."""
    forms = [list(_forms(parts)) for parts in divided]
    every = [word for own in forms for form in own for word in form]
    known = dict(zip(every, vocabulary.has_words(every), strict=True))
    return [next((form for form in own if all(known[word] for word in form)), ()) for own in forms]


def _forms(parts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yields the word that parts are together, and pairs of words if one of the parts is a single syllable."""
    whole = "".join(parts)
    yield (whole,)
    if min(map(len, parts)) == 1:
        for cut in range(LEAST_WORD, len(whole) - LEAST_WORD + 1):
            yield whole[:cut], whole[cut:]
