"""Reads words as typed on the other keyboard layout, where their form allows it. It knows no catalogue.

On the Korean layout, most consonants are left of the vowels, and every syllable begins with a consonant. English words
seldom alternate in this way, so their form alone rules out most of them.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from server.korean.jamo import INITIALS, VOWELS
from server.korean.keyboard import SHIFTED, as_english, as_korean

PUNCTUATION = "?!.,~"
"""Characters that may follow a word."""

MOST_LETTERS = 128
"""Letters of a text that is read as Korean at most: about 50 syllables."""

LEAST_CAPITALS = 4
"""Characters of a text of capitals at least, if it is read as Korean: most acronyms are shorter."""

SWITCHED = re.compile("(?<=[가-힣])(?=[A-Za-z])|(?<=[A-Za-z])(?=[가-힣])")
"""Where someone may have switched the layout inside a word."""

CONSONANT = as_english(f"[{INITIALS}]")
VOWEL = as_english(f"[{VOWELS}]")
KOREAN_KEYS = re.compile(
    rf"\d{{0,4}}{CONSONANT}{VOWEL}{{1,2}}(?:{CONSONANT}{{1,3}}{VOWEL}{{1,2}})*{CONSONANT}{{0,2}}[{PUNCTUATION}]*"
)
"""Words whose keys may be those of syllables: it rules out nearly all others, and `SYLLABLES` decides."""

LAST_KEY = re.compile(CONSONANT)
"""The first key of a word that is not finished."""

SHIFTED_KEYS = frozenset(key.lower() for key in SHIFTED)

SYLLABLES = re.compile(rf"\d{{0,4}}[가-힣]+[{PUNCTUATION}]*")
LAST_SYLLABLES = re.compile(rf"{SYLLABLES.pattern}|[가-힣]*[ㄱ-ㅎ]")
ENGLISH = re.compile(rf"[0-9]*[a-z][a-z'-]*[{PUNCTUATION}]*")
LATIN = re.compile("[A-Za-z]")
HANGUL = re.compile("[가-힣ㄱ-ㅣ]")
JAMO = re.compile("[ㄱ-ㅣ]")
MIXED = re.compile("(?=.*[가-힣])[가-힣]*[ㄱ-ㅣ]{1,2}[가-힣]*")
LONE_VOWEL = re.compile(r"([ㅏ-ㅣ])(?!\1)")
ENGLISH_VOWEL = re.compile("[aeiouy]")
ONSET = (
    "[bcdfghj-np-tvwxz]|[bcfgps]l|[bcdfgptw]r|[cgpstw]h|sc|s[kmnpqtw]|[dt]w|[gk]n|qu|sch|scr|shr|spl|spr|str|thr|squ"
)
PRONOUNCEABLE = re.compile(rf"(?:{ONSET})?[aeiouy]+(?:[b-df-hj-np-tv-z]{{1,3}}[aeiouy]+)*[b-df-hj-np-tv-z]{{0,3}}")
"""English words, and what could be one: after the first consonants, which few pairs can be, vowels recur."""

FEW_VOWELS, MOSTLY_JAMO = 2, 0.5
"""Least number of vowels outside syllables, and share of jamo, in fewer words whose letters could all be English."""

MANY_WORDS, MANY_VOWELS, GARBLED_SHARE, VOWELED_SHARE = 3, 3, 0.3, 0.75
"""Least numbers of words and of vowels outside syllables in a text that is English by its form alone, and least shares
of jamo among its characters, and of words that have a vowel in English."""

NOT_WORDS = re.compile(r"@|://|\bwww\.")
"""Parts of e-mail addresses and URLs."""


class Word(NamedTuple):
    """A word as typed, and as the other layout would have written it; None if it cannot have been typed on that."""

    typed: str
    other: str | None


def korean_forms(text: str) -> Iterator[list[Word]]:
    """Yields the ways to read the words of a text as typed for the Korean layout.

    There may be two if the text begins with a capital, since phones write one by themselves. There is none if most of
    its Latin letters cannot be Korean. Only the last word may end with a letter that begins a syllable.
    """
    if len(text) > MOST_LETTERS or NOT_WORDS.search(text):
        return
    if _is_caps_locked(text):
        if len(text) < LEAST_CAPITALS:
            return
        text = text.swapcase()
    first, *rest = SWITCHED.sub(" ", text).split()
    korean = sum(len(word) for word in rest if KOREAN_KEYS.fullmatch(word))
    latin = sum(len(word) for word in rest if LATIN.search(word))
    if 2 * korean + len(first) <= latin:
        return
    for variant in dict.fromkeys([first, first[0].lower() + first[1:]]):
        own = len(variant) if LATIN.search(variant) else 0
        if KOREAN_KEYS.fullmatch(variant) or (variant == first and 2 * korean > latin + own):
            *before, last = [variant, *rest]
            yield [*(Word(word, _korean(word)) for word in before), Word(last, _korean(last, last=True))]


def shifted_forms(word: str) -> list[str]:
    """Returns what a word's keys write on the Korean layout if Shift is pressed for one of them."""
    places = [place for place, key in enumerate(word) if key in SHIFTED_KEYS]
    forms = (_korean(f"{word[:place]}{word[place].upper()}{word[place + 1 :]}") for place in places)
    return list(filter(None, forms))


def mixed_form(word: str) -> str | None:
    """Returns a word that mixes Latin letters and syllables, and was typed on one layout: n빵 for ㅜ빵 and nQkd.

    On the English layout, only the first letter may be meant so.
    """
    if LATIN.match(word):
        rest = _korean(word[1:])
        return f"{word[0].lower()}{rest}" if rest else None
    return JAMO.sub(lambda letter: as_english(letter[0]), word) if MIXED.fullmatch(word) else None


def english_forms(text: str) -> Iterator[list[Word]]:
    """Yields the ways to read the words of a text as typed for the English layout: all Korean ones, or those with jamo.

    There is none unless a word has jamo, as nearly all English words have on the Korean layout.
    """
    if len(text) > MOST_LETTERS:
        return
    words = text.split()
    jamo = [word for word in words if JAMO.search(word)]
    hangul = [word for word in words if HANGUL.search(word)]
    for chosen in [hangul, jamo] if len(jamo) < len(hangul) else [jamo]:
        yield [Word(word, _english(word) if word in chosen else None) for word in words]


def is_garbled(words: Sequence[Word]) -> bool:
    """Whether words have more letters outside syllables than Korean with a slip of a finger, and may be English."""
    text = " ".join(word.typed for word in words)
    read = [(word.other or "").rstrip(PUNCTUATION) for word in words]
    vowels, share = len(LONE_VOWEL.findall(text)), len(JAMO.findall(text)) / len(HANGUL.findall(text))
    if vowels >= FEW_VOWELS and share >= MOSTLY_JAMO and all(map(PRONOUNCEABLE.fullmatch, read)):
        return bool(JAMO.search(as_korean("".join(read))))  # Otherwise they are jamo of syllables, typed apart.
    voweled = sum(bool(ENGLISH_VOWEL.search(word)) for word in read)
    return (
        len(words) >= MANY_WORDS
        and voweled >= VOWELED_SHARE * len(words)
        and vowels >= MANY_VOWELS
        and share >= GARBLED_SHARE
    )


def _is_caps_locked(text: str) -> bool:
    """Whether most letters are capitals, and the others are those that need Shift on the Korean layout."""
    small = [letter for letter in text if letter.islower()]
    return SHIFTED_KEYS.issuperset(small) and sum(map(str.isupper, text)) > len(small)


def _korean(word: str, *, last: bool = False) -> str | None:
    if not (KOREAN_KEYS.fullmatch(word) or (last and LAST_KEY.fullmatch(word))):
        return None
    korean = as_korean(word)
    return korean if (LAST_SYLLABLES if last else SYLLABLES).fullmatch(korean) else None


def _english(word: str) -> str | None:
    english = as_english(word).lower()
    return english if ENGLISH.fullmatch(english) else None
