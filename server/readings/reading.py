"""A reading: the text that a typed query stands for."""

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """The way in which a typed text differs from the one that it stands for."""

    KEYBOARD = "keyboard"
    """It was typed on the other keyboard layout: `zkem` is 카드, ㅗ디ㅣㅐ is hello."""

    INITIALS = "initials"
    """It has only the first consonants of syllables: ㅋㄷ ㅂㅅ is 카드 분실."""

    UNFINISHED = "unfinished"
    """Its last syllable lacks letters: 신용ㄷ is 신용대출."""

    SPACES = "spaces"
    """It has spaces between the syllables of words: 카 드 분 실 is 카드분실."""

    TYPO = "typo"
    """A word in it is written like no Korean word, since one key is wrong, missing or too many, or since its letters
    are apart: 칻드 and ㅋㅏㄷㅡ are 카드."""


class Reading(NamedTuple):
    """The text that replaces a typed query, and why."""

    text: str
    kind: Kind
