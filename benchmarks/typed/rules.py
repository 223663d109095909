"""Rules that write a text as hurried people type it: on the wrong layout, in initials, unfinished, or badly spaced.

A rule takes a text and a source of chance. It returns a typed form that differs from the text, or None if the text has
no form of this kind.
"""

import random
import re
import unicodedata
from collections.abc import Callable

from server.korean.jamo import FINAL_PAIRS, initials
from server.korean.keyboard import as_english, as_korean

Rule = Callable[[str, random.Random], str | None]

KOREAN = re.compile(r"[가-힣0-9?!, ]*[가-힣][가-힣0-9?!, ]*")
"""Texts that the Korean layout types without a switch to English."""

SYLLABLES = re.compile(r"[가-힣]+( [가-힣]+)*")
"""Texts of syllables and single spaces."""

ENGLISH = re.compile(r"[A-Za-z][A-Za-z0-9?!,' -]*")

INITIALS_LENGTHS = range(4, 9)
"""Numbers of syllables of which people type the initials: fewer mean too much, and more are slower than words."""

STRAY_WORDS = 2
"""Most words of a text with a space within a word."""

JOINED = {pair: jamo for jamo, pair in FINAL_PAIRS.items()}
FINAL_PAIR = re.compile("|".join(JOINED))
"""The consonants that a keyboard joins."""

KEPT_SYLLABLES = 2
"""Least number of whole syllables before an unfinished one."""


def on_qwerty(text: str, _: random.Random) -> str | None:
    """Returns the keys of a Korean text: the English layout was on."""
    return as_english(text) if KOREAN.fullmatch(text) else None


def on_dubeolsik(text: str, _: random.Random) -> str | None:
    """Returns an English text, in lower case, as the Korean layout writes it."""
    return as_korean(text.lower()) if ENGLISH.fullmatch(text) else None


def in_initials(text: str, chance: random.Random) -> str | None:
    """Returns the initials of a text's first words, of 4 to 8 syllables."""
    if not SYLLABLES.fullmatch(text):
        return None
    words = text.split()
    beginnings = [words[:count] for count in range(1, len(words) + 1)]
    fitting = [" ".join(each) for each in beginnings if sum(map(len, each)) in INITIALS_LENGTHS]
    return initials(chance.choice(fitting)) if fitting else None


def unfinished(text: str, chance: random.Random) -> str | None:
    """Returns what a text's first keys write, up to the middle of its third or a later syllable."""
    if not SYLLABLES.fullmatch(text):
        return None
    places = [place for place, character in enumerate(text) if character != " "][KEPT_SYLLABLES:]
    if not places:
        return None
    place = chance.choice(places)
    keys = as_english(text[place])
    return as_korean(as_english(text[:place]) + keys[: chance.randrange(1, len(keys))])


def initials_without_spaces(text: str, chance: random.Random) -> str | None:
    """Returns the initials of a text's first words in one word, if they are several."""
    typed = in_initials(text, chance)
    return typed.replace(" ", "") if typed and " " in typed else None


def initials_joined(text: str, chance: random.Random) -> str | None:
    """Returns the initials of a text's first words as keyboards join them: ㅄ for ㅂ and ㅅ."""
    typed = in_initials(text, chance)
    apart = typed.replace(" ", "") if typed else ""
    joined = FINAL_PAIR.sub(lambda pair: JOINED[pair[0]], apart)
    return joined if joined != apart else None


def initials_after_word(text: str, chance: random.Random) -> str | None:
    """Returns a text's first word, and the initials of the next ones."""
    if not SYLLABLES.fullmatch(text) or " " not in text:
        return None
    first, *others = text.split()
    return f"{first} {initials(' '.join(others[: chance.randint(1, len(others))]))}"


def on_mixed_layouts(text: str, chance: random.Random) -> str | None:
    """Returns a Korean text with the keys of one of its words: someone switched layouts too late or too early."""
    words = text.split()
    if len(words) == 1 or not SYLLABLES.fullmatch(text):
        return None
    place = chance.choice([place for place, word in enumerate(words) if len(word) > 1] or [0])
    return " ".join([*words[:place], as_english(words[place]), *words[place + 1 :]])


def with_caps_lock(text: str, _: random.Random) -> str | None:
    """Returns the keys of a Korean text, with capitals for small letters: Caps Lock was on, too."""
    return as_english(text).swapcase() if KOREAN.fullmatch(text) else None


def in_capitals(text: str, _: random.Random) -> str | None:
    """Returns the keys of a Korean text, all as capitals: which keys need Shift is lost."""
    return as_english(text).upper() if KOREAN.fullmatch(text) else None


def unfinished_on_qwerty(text: str, chance: random.Random) -> str | None:
    """Returns a text's first keys."""
    typed = unfinished(text, chance)
    return as_english(typed) if typed else None


def decomposed(text: str, _: random.Random) -> str | None:
    """Returns a Korean text in NFD, the form in which some systems write it."""
    return unicodedata.normalize("NFD", text) if KOREAN.fullmatch(text) else None


def spaced_apart(text: str, _: random.Random) -> str | None:
    """Returns a text with a space after each syllable."""
    return " ".join(text.replace(" ", "")) if SYLLABLES.fullmatch(text) else None


def with_misplaced_space(text: str, chance: random.Random) -> str | None:
    """Returns a text with one of its spaces a syllable too early or too late."""
    if not SYLLABLES.fullmatch(text) or " " not in text:
        return None
    place = chance.choice([place for place, character in enumerate(text) if character == " "])
    early = f"{text[: place - 1]} {text[place - 1]}{text[place + 1 :]}"
    late = f"{text[:place]}{text[place + 1]} {text[place + 2 :]}"
    return chance.choice([early, late]).strip()


def with_stray_space(text: str, chance: random.Random) -> str | None:
    """Returns a text of one or two words with a space within one of them."""
    places = [place for place in range(1, len(text)) if text[place - 1] != " " != text[place]]
    if not SYLLABLES.fullmatch(text) or len(text.split()) > STRAY_WORDS or not places:
        return None
    place = chance.choice(places)
    return f"{text[:place]} {text[place:]}"


def without_spaces(text: str, _: random.Random) -> str | None:
    """Returns a Korean text without its spaces."""
    return text.replace(" ", "") if " " in text and KOREAN.fullmatch(text) else None


def with_doubled_spaces(text: str, _: random.Random) -> str | None:
    """Returns a Korean text with each space twice."""
    return text.replace(" ", "  ") if " " in text and KOREAN.fullmatch(text) else None
