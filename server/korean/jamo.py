"""Takes Hangul apart into the letters that a keyboard types, and into initial consonants.

Letters are written as compatibility jamo (U+3131 to U+3163), as an unfinished syllable appears on a screen. A compound
vowel or final is typed as two letters (과 is ㄱㅗㅏ, 값 is ㄱㅏㅂㅅ). A doubled consonant is typed with Shift, so it is
one (까 is ㄲㅏ). So the letters of a text that is being typed only grow, whichever syllable a letter joins in the end.

Texts are composed (NFC) first, and single conjoining jamo count as the letters they are. All else stays as it is.
"""

import functools
import re

from server.composition import composed

INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
FINALS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
"""The parts of syllables, in the order of Unicode."""

VOWEL_PAIRS = {"ㅘ": "ㅗㅏ", "ㅙ": "ㅗㅐ", "ㅚ": "ㅗㅣ", "ㅝ": "ㅜㅓ", "ㅞ": "ㅜㅔ", "ㅟ": "ㅜㅣ", "ㅢ": "ㅡㅣ"}
FINAL_PAIRS = {
    **{"ㄳ": "ㄱㅅ", "ㄵ": "ㄴㅈ", "ㄶ": "ㄴㅎ", "ㅄ": "ㅂㅅ"},
    **{"ㄺ": "ㄹㄱ", "ㄻ": "ㄹㅁ", "ㄼ": "ㄹㅂ", "ㄽ": "ㄹㅅ", "ㄾ": "ㄹㅌ", "ㄿ": "ㄹㅍ", "ㅀ": "ㄹㅎ"},
}
"""Compound vowels and finals, and the two letters that type each."""

PAIRS = VOWEL_PAIRS | FINAL_PAIRS
CONSONANTS = frozenset(INITIALS) | frozenset(FINALS)

FIRST_SYLLABLE = 0xAC00
FIRST_INITIAL, FIRST_VOWEL, FIRST_FINAL = 0x1100, 0x1161, 0x11A8
"""The first conjoining jamo of each kind."""

CONJOINING = re.compile("[\u1100-\u11ff]")


def letters(text: str) -> str:
    """Returns a text with each Hangul syllable and jamo as the letters that type it (과자 becomes ㄱㅗㅏㅈㅏ)."""
    return text if text.isascii() else composed(text).translate(_letters())


def initials(text: str) -> str:
    """Returns a text with each syllable as its first consonant (카드 becomes ㅋㄷ). Pairs such as ㄳ become two."""
    return text if text.isascii() else composed(text).translate(_initials())


def separated(text: str) -> str:
    """Returns a text with each compound consonant outside syllables as two: keyboards join ㅂ and ㅅ to ㅄ."""
    return text if text.isascii() else text.translate(_separated())


def is_initials(text: str) -> bool:
    """Whether a text holds consonants that belong to no syllable, and nothing else but whitespace."""
    if text.isascii():
        return False
    consonants = "".join(compatible(text).split())
    return bool(consonants) and CONSONANTS.issuperset(consonants)


def compatible(text: str) -> str:
    """Returns a text, composed (NFC), with compatibility jamo for the conjoining ones that form no syllable."""
    text = composed(text)
    return text.translate(_jamo()) if CONJOINING.search(text) else text


@functools.lru_cache(maxsize=1 << 14)
def is_usual(syllable: str) -> bool:
    """Whether KS X 1001 has a syllable. It has 2,350, practically all that words of today have, of 11,172 possible."""
    try:
        syllable.encode("iso2022_kr")
    except UnicodeEncodeError:
        return False
    return True


def syllable(initial: str, vowel: str, final: str = "") -> str:
    """Returns the syllable of these parts; compound ones are one jamo. A part out of place raises ValueError."""
    number = (INITIALS.index(initial) * len(VOWELS) + VOWELS.index(vowel)) * (len(FINALS) + 1)
    return chr(FIRST_SYLLABLE + number + (FINALS.index(final) + 1 if final else 0))


@functools.cache
def _separated() -> dict[int, str]:
    """Returns the letters of each compound consonant."""
    return str.maketrans(FINAL_PAIRS)


@functools.cache
def _jamo() -> dict[int, str]:
    """Returns the compatibility jamo of each conjoining one."""
    kinds = ((FIRST_INITIAL, INITIALS), (FIRST_VOWEL, VOWELS), (FIRST_FINAL, FINALS))
    return {first + place: letter for first, all_letters in kinds for place, letter in enumerate(all_letters)}


@functools.cache
def _letters() -> dict[int, str]:
    """Returns the letters of each syllable and jamo."""
    table = {ord(jamo): pair for jamo, pair in PAIRS.items()}
    table |= {point: PAIRS.get(jamo, jamo) for point, jamo in _jamo().items()}
    for initial in INITIALS:
        for vowel in VOWELS:
            start = initial + VOWEL_PAIRS.get(vowel, vowel)
            table[ord(syllable(initial, vowel))] = start
            for final in FINALS:
                table[ord(syllable(initial, vowel, final))] = start + FINAL_PAIRS.get(final, final)
    return table


@functools.cache
def _initials() -> dict[int, str]:
    """Returns the first consonant of each syllable, and the letters of consonants that belong to none."""
    table = {ord(jamo): pair for jamo, pair in FINAL_PAIRS.items()}
    table |= {point: FINAL_PAIRS.get(jamo, jamo) for point, jamo in _jamo().items()}
    syllables = len(VOWELS) * (len(FINALS) + 1)
    for place, initial in enumerate(INITIALS):
        first = FIRST_SYLLABLE + place * syllables
        table |= dict.fromkeys(range(first, first + syllables), initial)
    return table
