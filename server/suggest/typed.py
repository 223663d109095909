"""Typed texts, as they are compared with completions, and how the other keyboard layout would have written them."""

import re
from typing import NamedTuple

from server.composition import composed
from server.korean import jamo, keyboard
from server.sections import normalized
from server.suggest.spelling import LONGEST_TEXT, Character, character_of, characters

LATIN = re.compile("[A-Za-z]")

SYLLABLE = re.compile("[가-힣]")
LETTER_FIRST = re.compile("[ㄱ-ㅣ][가-힣]")
"""Texts whose first letter may be meant as a Latin one."""

ENDING = re.compile(
    r"(?<=[가-힣]{2})\s*(?:하(?:기|는\s*(?:방?법|거|것)|려면|고\s*싶어요?|자|려고)?|방법|해\s*(?:줘요?|주세요)|할\s*(?:래요?|게요?))$"
)
"""Korean words and endings that people type after a title."""

NOTHING = Character("", "", separates=True)
"""The character after the end of a text."""


class Typed(NamedTuple):
    """A typed text.

    Attributes:
        letters: Its letters.
        initials: Its initials.
        characters: What each of its characters counts for.
        consonants: Number of consonants that belong to no syllable.
    """

    letters: str
    initials: str
    characters: tuple[Character, ...]
    consonants: int

    @classmethod
    def of(cls, text: str) -> "Typed":
        """Returns what was typed; nothing if the text is longer than a completion may be."""
        within = text if len(text) <= LONGEST_TEXT else ""
        own = tuple(character for _, _, written in characters(within) if (character := character_of(written)).letters)
        letters = "".join(character.letters for character in own)
        return cls(letters, "".join(character.initials for character in own), own, sum(map(is_consonant, own)))

    @property
    def has_initials(self) -> bool:
        """Whether consonants stand for syllables. A single one at the end may only begin one: letters show as much."""
        return self.consonants > 1 or (self.consonants == 1 and not is_consonant(self.characters[-1]))

    @property
    def only_initials(self) -> bool:
        """Whether there is nothing but consonants."""
        return self.consonants == len(self.characters)

    @property
    def is_korean(self) -> bool:
        """Whether there are Hangul syllables, and at most half as many letters that belong to none."""
        syllables = sum(character.letters != character.initials for character in self.characters)
        return 0 < syllables >= 2 * self._single

    @property
    def is_garbled(self) -> bool:
        """Whether there is Hangul that looks typed on the wrong layout: letters that belong to no syllable."""
        return self._single > 0 and not self.is_korean

    @property
    def _single(self) -> int:
        return sum(
            character.letters == character.initials and "ㄱ" <= character.letters[0] <= "ㅣ"
            for character in self.characters
        )

    @property
    def has_syllables(self) -> bool:
        """Whether there are Hangul syllables."""
        parts = ((character.letters, character.initials) for character in self.characters)
        return any(letters != initials and letters[0] == initials for letters, initials in parts)

    @property
    def letters_of_syllables(self) -> str:
        """The letters of the syllables before the first consonant that belongs to none, and that consonant."""
        first = next(place for place, character in enumerate(self.characters) if is_consonant(character))
        return "".join(character.letters for character in self.characters[:first]) + self.characters[first].letters[0]

    def fits(self, text: str, place: int) -> bool:
        """Whether a text has, from a word on, these syllables, and words with these consonants."""
        following = (
            character for _, _, written in characters(text, place) if (character := character_of(written)).letters
        )
        last = len(self.characters) - 1
        for number, own in enumerate(self.characters):
            if is_consonant(own):
                if any(next(following, NOTHING).initials != initial for initial in own.letters):
                    return False
                continue
            letters = next(following, NOTHING).letters
            if letters != own.letters and not (number == last and letters.startswith(own.letters)):
                return False
        return True


def is_consonant(character: Character) -> bool:
    """Whether a character is a consonant that belongs to no syllable."""
    return character.letters == character.initials and character.letters[0] in jamo.CONSONANTS


def on_other_layout(text: str) -> list[str]:
    """Returns a text as other layouts would have written it, the likeliest first.

    Its Latin letters become Korean, its Hangul English. If Caps Lock was on, or a phone wrote a capital first, letters
    are first read without Shift. The first letter may also be of the other script than the syllables after it: n빵.
    """
    if len(text) > LONGEST_TEXT:
        return []
    plain = text if text.isascii() else composed(text)
    narrow = plain if plain.isascii() else normalized("NFKC", plain)
    found = []
    if LATIN.search(narrow):
        found += [keyboard.as_korean(each) for each in _without_capitals(narrow)]
        rest = keyboard.as_korean(narrow[1:])
        if LATIN.match(narrow) and SYLLABLE.match(rest):
            found.append(narrow[0] + rest)
    if not plain.isascii() and (english := keyboard.as_english(plain)) != plain:
        found.append(english)
        if LETTER_FIRST.match(plain):
            found.append(keyboard.as_english(plain[0]) + plain[1:])
    return list(dict.fromkeys(found))


def without_ending(text: str) -> str | None:
    """Returns a text without the Korean ending of a request, such as 하기; None if it has none."""
    shorter = ENDING.sub("", text)
    return shorter if shorter != text else None


def _without_capitals(text: str) -> list[str]:
    """Returns a text without capitals that its user may not have meant, and as it was typed."""
    letters = [letter for letter in text if letter.isalpha()]
    if 2 * sum(map(str.isupper, letters)) > len(letters):
        return [text.swapcase(), text]
    return [text[:1].lower() + text[1:], text]
