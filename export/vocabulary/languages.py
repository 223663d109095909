"""Languages, and the characters that each adds to those which every bundle keeps.

Unicode's scripts decide. Kept for all: ASCII letters, and characters that no script owns (Common and Inherited), which
are digits, punctuation, symbols, emoji with their joiners and selectors, spaces and combining marks.
"""

from __future__ import annotations

from collections.abc import Sequence

import regex

LATIN = r"\p{Script=Latin}"
CYRILLIC = r"\p{Script=Cyrillic}"
ASCII_LETTERS = "A-Za-z"

LANGUAGES = {
    "ar": r"\p{Script=Arabic}",
    "cs": LATIN,
    "de": LATIN,
    "el": r"\p{Script=Greek}",
    "en": ASCII_LETTERS,
    "es": LATIN,
    "fr": LATIN,
    "he": r"\p{Script=Hebrew}",
    "hi": r"\p{Script=Devanagari}",
    "id": ASCII_LETTERS,
    "it": LATIN,
    "ja": r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}",
    "ko": r"\p{Script=Hangul}",
    "nl": LATIN,
    "pl": LATIN,
    "pt": LATIN,
    "ru": CYRILLIC,
    "sv": LATIN,
    "th": r"\p{Script=Thai}",
    "tr": LATIN,
    "uk": CYRILLIC,
    "vi": LATIN,
    "zh": r"\p{Script=Han}",
}
"""The characters of a language, as the inside of a character class of `regex`."""

UNITS = "μΩ"
"""NFKC turns the signs of units (㎛, ㏀) into these Greek letters, so texts of any language have them."""

ALL = "all"
"""Stands for no trimming."""

_ALWAYS = rf"{ASCII_LETTERS}\p{{Script=Common}}\p{{Script=Inherited}}{UNITS}"


def parse_languages(text: str) -> tuple[str, ...]:
    """Returns the codes of a list by commas, each once; none of them if it is `all`.

    Raises:
        ValueError: It names nothing, or a language that is not known; the message is one line.
    """
    codes = tuple(dict.fromkeys(code.strip().lower() for code in text.split(",") if code.strip()))
    if codes == (ALL,):
        return ()
    if not codes:
        raise ValueError(f"names no language; give codes by commas, as in ko,en, or {ALL} to keep the whole vocabulary")
    unknown = [code for code in codes if code not in LANGUAGES]
    if unknown:
        raise ValueError(
            f"does not know {', '.join(unknown)}; known are {', '.join(LANGUAGES)}, and {ALL} alone to trim nothing"
        )
    return codes


def kept_characters(languages: Sequence[str]) -> regex.Pattern[str]:
    """Returns a pattern that matches in full the texts whose characters are all kept for these languages."""
    return regex.compile(f"[{_ALWAYS}{''.join(LANGUAGES[code] for code in languages)}]*", regex.V1)


def has_character_of(language: str) -> regex.Pattern[str]:
    """Returns a pattern that finds a character of a language."""
    return regex.compile(f"[{LANGUAGES[language]}]", regex.V1)
