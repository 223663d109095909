"""Chooses the reading of a typed query: the text that fits the catalogue where the typed one fits nothing.

An ordinary query costs some microseconds, since its characters allow no reading. A reading is chosen on evidence:

- **Keyboard**: the words as the other layout writes them are like those of the catalogue, and the typed ones are not.
  The longer the text, the less of it the catalogue must have, since its form is less likely to be an accident. English
  whose keys are no Korean, such as ㅗ디ㅣㅐ (hello), needs no other evidence.
- **Initials, unfinished**: a text of the catalogue begins as typed, and the typed text has a consonant alone, or ends
  with a syllable that the catalogue does not have there.
- **Typos**: a word is written like no Korean word, and the catalogue has one that is a key away.
- **Spaces**: the catalogue has the parts of a word together, and not apart; or all syllables are apart and form pairs
  that it has. Doubled and missing spaces need no reading: encoders and the search by words find the same either way.

Punctuation, emoji, laughter and tears at both ends hide no reading.
"""

import re
import unicodedata
from collections.abc import Sequence

from server.composition import composed
from server.korean.jamo import compatible, initials, is_initials, letters, separated
from server.korean.keyboard import as_english, as_korean
from server.readings.beginnings import BEGINNING, finished
from server.readings.evidence import Evidence, parts_of
from server.readings.feelings import FEELING, SLANG, without_laughter, without_surroundings
from server.readings.layouts import (
    HANGUL,
    JAMO,
    LATIN,
    PUNCTUATION,
    Word,
    english_forms,
    is_garbled,
    korean_forms,
    mixed_form,
    shifted_forms,
)
from server.readings.misspellings import corrected
from server.readings.reading import Kind, Reading
from server.readings.spaces import joined
from server.readings.vocabulary import Vocabulary

MOST_TYPED = 384
"""Characters of a query that is read at most: 128 syllables in NFD."""

MOST_SYLLABLES = 20
"""Characters of a text without jamo that is finished at most, since longer ones are nearly always whole sentences."""

MOST_MIXED = 16
"""Characters of a text whose first word may mix letters and syllables."""

LEAST_SYLLABLES = 2
"""Syllables of a text at least, if it was typed for the Korean layout as a whole: many short English words are one."""

LEAST_UNFINISHED = 3
"""Syllables of such a text whose last one may lack letters: `them` is 소드, the beginning of 소득."""

COMPLETIONS = 16
"""Completions that are compared."""

COMPLETED = (Kind.INITIALS, Kind.UNFINISHED)
"""Readings that are texts of the catalogue, without the punctuation that was typed."""

PUNCTUATED = re.compile(rf".*[^{PUNCTUATION}](?=[{PUNCTUATION}]*$)", re.DOTALL)
"""All but the punctuation at the end of a text."""

SYLLABLE = re.compile("[가-힣]")
WIDE = re.compile("[\uff01-\uffdc]+")
"""Letters of another width than usual."""

TRAILING = re.compile(r"([^ㄱ-ㅣ]*[^ㄱ-ㅣ\s])\s*[ㄱ-ㅊㅌㅍ]")
"""Texts whose last letter is a consonant alone. ㅋ and ㅎ are feelings too."""

APART = re.compile("[ㄱ-ㅎ][ㅏ-ㅣ][ㄱ-ㅣ]*")
"""Letters of syllables that were not put together. Keyboards do that, whatever is typed."""

SPREAD = re.compile(r"[가-힣](?:\s+[가-힣]){2,}")
"""Texts with spaces between all syllables."""


class Interpreter:
    """Reads queries against a vocabulary. As safe to share between threads as its vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._evidence = Evidence(vocabulary)

    def interpret(self, text: str) -> Reading | None:
        """Returns the reading that should replace a typed query; None if the query stays as it is."""
        if len(text) > MOST_TYPED:
            return None
        whole = compatible(WIDE.sub(_usual_width, text)).strip()
        text = without_surroundings(whole)
        reading = self._read(text)
        if reading is None and JAMO.search(text) and (calm := without_laughter(text)) != text:
            return self._read(calm)
        if reading and len(text) < len(whole) and reading.kind not in COMPLETED:
            return reading._replace(text=reading.text + PUNCTUATED.sub("", whole))
        return reading

    def _read(self, text: str) -> Reading | None:
        if (written := APART.sub(_written, text)) != text:
            by_letters = Reading(written, Kind.TYPO) if self._evidence.is_korean([written]) else None
            return self._read(written) or by_letters
        if JAMO.search(text):
            reading = self._with_jamo(text)
        elif LATIN.search(text):
            reading = self._typed_for_korean(text)
        else:
            reading = self._of_syllables(text)
        if reading is None and (without_typos := corrected(text, self._vocabulary)):
            return Reading(without_typos, Kind.TYPO)
        return reading

    def _with_jamo(self, text: str) -> Reading | None:
        if FEELING.fullmatch(text) or all(self._vocabulary.has_words(text.lower().split())):
            return None
        text = separated(text)
        if SLANG.fullmatch(text):
            return self._slang(text)
        if mixed := self._mixed(text):
            return mixed
        if is_initials(text) and (whole := self._begun(text)):
            return Reading(whole, Kind.INITIALS)
        if english := next(filter(None, map(self._english, english_forms(text))), None):
            return Reading(english, Kind.KEYBOARD)
        whole = self._begun(text)
        if whole is None and (trailing := TRAILING.fullmatch(text)) and all(self._evidence.known(trailing[1].split())):
            whole = trailing[1]
        return Reading(whole, Kind.UNFINISHED) if whole else None

    def _slang(self, text: str) -> Reading | None:
        """Returns the title that has these initials as a whole."""
        for whole, _ in self._vocabulary.complete(text, limit=COMPLETIONS):
            if initials("".join(filter(str.isalnum, whole))) == text and self._vocabulary.has_title(whole):
                return Reading(composed(whole), Kind.INITIALS)
        return None

    def _of_syllables(self, text: str) -> Reading | None:
        if SPREAD.fullmatch(text) and self._evidence.is_one_word(whole := "".join(text.split())):
            return Reading(whole, Kind.SPACES)
        if len(text) > MOST_SYLLABLES:
            return None
        words = text.split()
        known = self._vocabulary.has_words(words)
        if together := joined(words, known, self._vocabulary):
            return Reading(together, Kind.SPACES)
        if not BEGINNING.fullmatch(text) or not self._evidence.ends_amiss(words, known):
            return None
        begun = self._begun(text)
        return Reading(begun, Kind.UNFINISHED) if begun else None

    def _typed_for_korean(self, text: str) -> Reading | None:
        forms = korean_forms(text)
        if text.isupper():
            forms = map(self._with_shift, forms)
        texts = list(filter(None, map(self._korean, forms)))
        if len(texts) > 1:
            # They differ in the first letter. The one is meant whose first word is more like the catalogue's.
            texts.sort(key=lambda text: -self._evidence.likeness(text.split()[0]))
        return Reading(texts[0], Kind.KEYBOARD) if texts else self._mixed(text)

    def _mixed(self, text: str) -> Reading | None:
        """Returns the text whose first word mixes Latin letters and syllables, if the catalogue has that word."""
        if len(text) > MOST_MIXED:
            return None
        first, *rest = text.split(maxsplit=1)
        mixed = mixed_form(first)
        if mixed is None or not self._evidence.known([mixed])[0]:
            return None
        return Reading(" ".join([mixed, *rest]), Kind.KEYBOARD)

    def _with_shift(self, words: Sequence[Word]) -> list[Word]:
        """Returns words with Shift for a key where only that makes a word of the catalogue.

        Where all letters are capitals, Shift is lost: RPWHK is 계좌.
        """
        forms = [[word.other, *shifted_forms(word.typed)] if word.other else [] for word in words]
        known = iter(self._evidence.known([form for own in forms for form in own]))
        meant = [next((form for form, has in [(form, next(known)) for form in own] if has), None) for own in forms]
        return [word._replace(other=form or word.other) for word, form in zip(words, meant, strict=True)]

    def _korean(self, words: Sequence[Word]) -> str | None:
        """Returns the text that was typed for the Korean layout, if it is Korean and what was typed is not English."""
        latin = [word for word in words if LATIN.search(word.typed)]
        known = self._known(latin)
        slips = [word for word in latin if word.other]
        if len(slips) < len(latin):
            # Someone switched layouts on purpose: words that the catalogue has stay as they are.
            slips = [word for word in slips if word not in known]
        if known.issuperset(slips) or not known.issuperset(word for word in latin if word not in slips):
            return None
        read = [word.other or "" for word in slips]
        syllables = len(SYLLABLE.findall(" ".join(read)))
        if syllables < LEAST_SYLLABLES and not any(HANGUL.search(word.typed) for word in words):
            return None
        text = " ".join(word.other if word.other and word in slips else word.typed for word in words)
        korean = self._evidence.is_korean(read)
        if korean and not JAMO.search(text):
            reading = self._of_syllables(text)
            return reading.text if reading else text
        whole = self._begun(text)
        if korean:
            return whole or JAMO.sub("", text).rstrip()
        spelled = letters if syllables >= LEAST_UNFINISHED else str
        return whole if whole and all(spelled(part) in spelled(whole) for part in parts_of(text)) else None

    def _english(self, words: Sequence[Word]) -> str | None:
        """Returns the text that was typed for the English layout, if it is English and the rest is Korean."""
        rest = [word for word in words if not word.other and HANGUL.search(word.typed)]
        read = [word for word in words if word.other]
        if any(JAMO.search(word.typed) for word in rest) or len(self._known(rest)) < len(set(rest)):
            return None
        english = self._evidence.is_english([word.other or "" for word in read]) or is_garbled(read)
        return " ".join(word.other or word.typed for word in words) if english else None

    def _known(self, words: Sequence[Word]) -> set[Word]:
        """Returns the words that the catalogue has as they are typed."""
        known = self._evidence.known([word.typed for word in words])
        return {word for word, has in zip(words, known, strict=True) if has}

    def _begun(self, text: str) -> str | None:
        """Returns the text that a typed one begins, if the catalogue has one."""
        if not BEGINNING.fullmatch(text):
            return None
        whole = finished(text, self._vocabulary.complete(text, limit=COMPLETIONS))
        if whole is None and JAMO.search(text) and (abbreviated := initials(text)) != text:
            # Initials after whole syllables, such as 카드 ㅂㅅ.
            whole = finished(text, self._vocabulary.complete(abbreviated, limit=COMPLETIONS))
        return whole


def _written(apart: re.Match[str]) -> str:
    return as_korean(as_english(apart[0]))


def _usual_width(letters: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", letters[0])
