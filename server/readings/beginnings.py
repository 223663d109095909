"""Finishes a text that is typed in part: in initial consonants, or up to the middle of a syllable."""

import re
from collections import defaultdict
from collections.abc import Sequence

from server.composition import composed
from server.korean.jamo import CONSONANTS, initials, letters
from server.readings.vocabulary import Completion

MOST_CHARACTERS = 32
"""Characters of a text that is finished at most."""

BEGINNING = re.compile(rf"(?=.*[가-힣ㄱ-ㅎ])[0-9A-Za-z가-힣ㄱ-ㅎ ]{{1,{MOST_CHARACTERS}}}")
"""Texts that can be finished."""

WORD = re.compile(r"\w+")

AROUND = "()[]\"'.,?!"
"""Characters around a word that do not make it another one."""


def finished(typed: str, completions: Sequence[Completion]) -> str | None:
    """Returns the text that a typed one begins; None if no completion begins so.

    If only one does, it is returned whole. Else completions count together if they are the same up to the word in which
    the typed text ends, and those with the greatest sum of scores are chosen. The text is the words that these share.
    """
    groups: dict[str, list[Completion]] = defaultdict(list)
    wholes = []
    for completion in completions:
        whole = composed(completion.text)
        if span := _span(typed, whole):
            start, end = span
            groups[whole[start:end].lower()].append(Completion(whole[start:], completion.score))
            wholes.append(whole)
    if not wholes:
        return None
    if len(wholes) == 1:
        return wholes[0]
    chosen = max(groups.values(), key=lambda group: sum(score for _, score in group))
    return _shared([text for text, _ in chosen])


def _span(typed: str, whole: str) -> tuple[int, int] | None:
    """Returns start and end of the words of a text that begin as typed."""
    units = "".join(typed.split()).lower()
    words = [word.span() for word in WORD.finditer(whole)]
    for first, (start, _) in enumerate(words):
        if (last := _end(units, whole, start)) is not None:
            return start, next(end for _, end in words[first:] if end > last)
    return None


def _end(units: str, whole: str, start: int) -> int | None:
    """Returns the place of the character that the last unit matches, if the text matches them from `start` on."""
    place = start
    for number, unit in enumerate(units):
        while place < len(whole) and not whole[place].isalnum():  # The dot of 조회·납부 is seldom typed.
            place += 1
        character = whole[place : place + 1].lower()
        last = number == len(units) - 1
        begins = unit in CONSONANTS and initials(character) == unit
        if not (unit == character or begins or (last and letters(whole[place : place + 2]).startswith(letters(unit)))):
            return None
        place += 1
    return place - 1


def _shared(texts: Sequence[str]) -> str:
    """Returns the first words that all texts have, as the first text writes them."""
    shared = []
    for words in zip(*(text.split() for text in texts), strict=False):
        if len({word.lower().strip(AROUND) for word in words}) > 1:
            break
        shared.append(min(words, key=len))  # Of 리볼빙 and 리볼빙), the word alone.
    return " ".join(shared)
