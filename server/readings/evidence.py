"""Compares the words of a reading with those of the catalogue.

The bounds were chosen on words and queries in English and Korean: read as Korean, English words hardly ever have a pair
of syllables that the catalogue has, and mistyped Korean read as English hardly ever has an English word.
"""

import re
from collections.abc import Sequence

from server.korean.jamo import is_usual
from server.readings.vocabulary import Vocabulary
from server.synonyms.endings import is_ending

LEAST_SHARES = {12: 0.0, 6: 0.1, 4: 0.3}
"""Least share of the syllables of a text that are in words or pairs of the catalogue, by their least number. English
words seldom form four syllables, and practically never twelve. Fewer must be in words of the catalogue."""

MOST_UNUSUAL = 0.25
"""Greatest share of syllables that hardly any Korean word has."""

MANY_WORDS = 3
LEAST_OF_MANY_WORDS, LEAST_OF_FEW_WORDS = 0.3, 0.6
"""Least share of the letters that are in English words of the catalogue, if there are that many words, or fewer."""

ENDING_LENGTHS = (1, 2, 3)
"""Lengths of endings whose noun is looked up."""

LEAST_JOINED = 0.3
"""Least share of pairs of the catalogue among those of syllables that were typed apart."""

SYLLABLES = re.compile("[가-힣]+")
PARTS = re.compile("[0-9a-z가-힣]+")


def parts_of(text: str) -> list[str]:
    """Returns the words of a text as the vocabulary has them."""
    return PARTS.findall(text.lower())


class Evidence:
    """Questions to a vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def known(self, texts: Sequence[str]) -> list[bool]:
        """Returns for each text whether it has words and the catalogue has them all."""
        parts = [parts_of(text) for text in texts]
        every = [part for each in parts for part in each]
        known = dict(zip(every, self._vocabulary.has_words(every), strict=True))
        return [bool(each) and all(known[part] for part in each) for each in parts]

    def is_korean(self, texts: Sequence[str]) -> bool:
        """Whether texts of syllables are Korean of this catalogue rather than accidents."""
        words = [part for text in texts for part in SYLLABLES.findall(text) if len(part) > 1]
        if not words:
            return False
        whole, shares = self._vocabulary.has_words(words), self._vocabulary.pair_shares(words)
        syllables = "".join(words)
        count = len(syllables)
        if count - sum(map(is_usual, syllables)) > MOST_UNUSUAL * count:
            return False
        least = next((least for number, least in LEAST_SHARES.items() if count >= number), None)
        if least is None:
            return all(whole)
        fitting = sum(len(word) * max(has, share) for word, has, share in zip(words, whole, shares, strict=True))
        return fitting >= count * least

    def likeness(self, word: str) -> float:
        """Returns the share of a word's pairs of syllables that the catalogue has; 1 if it has the word."""
        parts = parts_of(word)
        return max(*self._vocabulary.has_words(parts), *self._vocabulary.pair_shares(parts), 0.0)

    def is_english(self, texts: Sequence[str]) -> bool:
        """Whether texts of letters are English of this catalogue rather than mistyped Korean."""
        parts = [part for text in texts for part in parts_of(text)]
        known = [part for part, has in zip(parts, self._vocabulary.has_words(parts), strict=True) if has]
        least = LEAST_OF_MANY_WORDS if len(parts) >= MANY_WORDS else LEAST_OF_FEW_WORDS
        return max(map(len, known), default=0) > 2 and sum(map(len, known)) >= least * sum(map(len, parts))

    def is_one_word(self, syllables: str) -> bool:
        """Whether syllables that were typed apart belong together."""
        return self._vocabulary.pair_shares([syllables])[0] >= LEAST_JOINED

    def ends_amiss(self, words: Sequence[str], known: Sequence[bool]) -> bool:
        """Whether the catalogue has all of a text but its last syllable in that place: it may lack letters.

        A word with an ending lacks nothing. Nor does a usual word of two syllables: the catalogue may not have it.

        Args:
            words: The words of the text.
            known: Whether the catalogue has each.
        """
        *before, last = words
        if not all(known[:-1]) or known[-1] or (before and is_ending(last)):
            return False
        if len(last) == 2 and not before and is_usual(last[-1]):
            return False
        nouns = [last[:-count] for count in ENDING_LENGTHS if count < len(last) and is_ending(last[-count:])]
        if nouns and any(self._vocabulary.has_words(nouns)):
            return False
        if len(last) == 1:
            return True
        begun, end = self._vocabulary.pair_shares([last[:-1], last[-2:]])
        return end == 0 and (begun == 1 or len(last) == 2)
