"""Rewrites a text that was typed on the other of two layouts: English QWERTY, and Korean Dubeolsik (두벌식, KS X 5002).

People forget to switch: `zkem` is 카드 on the Korean layout, and ㅗ디ㅣㅐ is `hello` on the English one.
"""

import functools
import re

from server.korean.jamo import FINAL_PAIRS, FINALS, INITIALS, PAIRS, VOWEL_PAIRS, VOWELS, letters, syllable

KEYS = {
    **dict(zip("qwertyuiop", "ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔ", strict=True)),
    **dict(zip("asdfghjkl", "ㅁㄴㅇㄹㅎㅗㅓㅏㅣ", strict=True)),
    **dict(zip("zxcvbnm", "ㅋㅌㅊㅍㅠㅜㅡ", strict=True)),
}
"""The letter of each key."""

SHIFTED = dict(zip("QWERTOP", "ㅃㅉㄸㄲㅆㅒㅖ", strict=True))
"""The letters that need Shift. With any other letter, Shift changes nothing."""

TO_KOREAN = str.maketrans({key.upper(): letter for key, letter in KEYS.items()} | KEYS | SHIFTED)
TO_ENGLISH = str.maketrans({letter: key for key, letter in (KEYS | SHIFTED).items()})

LATIN = re.compile("[A-Za-z]+")
ONE_VOWEL = f"{'|'.join(VOWEL_PAIRS.values())}|[{VOWELS}]"
ONE_FINAL = f"{'|'.join(FINAL_PAIRS.values())}|[{FINALS}]"
SYLLABLE = re.compile(f"([{INITIALS}])({ONE_VOWEL})(?:({ONE_FINAL})(?![{VOWELS}]))?|{'|'.join(VOWEL_PAIRS.values())}")
"""Letters that are written as one. A consonant before a vowel is not a final: it begins the next syllable."""

JOINED = {pair: jamo for jamo, pair in PAIRS.items()}
"""The compound jamo of two letters."""


def as_korean(text: str) -> str:
    """Returns a text as the Korean layout would have written it (dlcpgkseh becomes 이체한도).

    Shift counts (R is ㄲ). Letters that form no syllable become jamo, and other characters stay as they are.
    """
    return LATIN.sub(_written, text)


def as_english(text: str) -> str:
    """Returns a text as the English layout would have written it (ㅗ디ㅣㅐ becomes hello). It is composed first."""
    return letters(text).translate(TO_ENGLISH)


def _written(keys: re.Match[str]) -> str:
    return SYLLABLE.sub(lambda letters: _joined(letters[0]), keys[0].translate(TO_KOREAN))


@functools.lru_cache(maxsize=1 << 14)
def _joined(letters: str) -> str:
    """Returns what letters are written as that `SYLLABLE` has matched."""
    together = SYLLABLE.fullmatch(letters)
    assert together is not None, "it has matched in a text"
    initial, vowel, final = (JOINED.get(part, part) for part in together.groups(""))
    return syllable(initial, vowel, final) if initial else JOINED[letters]
