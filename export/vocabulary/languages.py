"""The characters that a trimmed vocabulary keeps for each language, by Unicode script.

Every bundle keeps ASCII letters, and characters without a script (Common and Inherited): digits, punctuation, symbols,
emoji with their joiners and selectors, spaces and combining marks.
"""

from __future__ import annotations

from collections.abc import Sequence

import regex

from server.catalogue.languages import best_language, canonical_language

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
"""The characters of each language, as the content of a character class of `regex`."""

UNITS = "μΩ"
"""Greek letters that texts of any language have, because NFKC turns the signs of units (㎛, ㏀) into them."""

ALL = "all"
"""The code that disables trimming."""

_ALWAYS = rf"{ASCII_LETTERS}\p{{Script=Common}}\p{{Script=Inherited}}{UNITS}"


def parse_languages(text: str) -> tuple[str, ...]:
    """Returns the unique codes of a list separated by commas, or no codes for `all`. `ko-KR` is the same as `ko`.

    Raises:
        ValueError: The list is empty or has an unknown code; the message is one line.
    """
    given = (code for code in text.split(",") if code.strip())
    codes = tuple(dict.fromkeys(best_language(code, LANGUAGES) or canonical_language(code) for code in given))
    if codes == (ALL,):
        return ()
    if not codes:
        raise ValueError(f"names no language; set codes separated by commas, such as ko,en, or {ALL}")
    unknown = [code for code in codes if code not in LANGUAGES]
    if unknown:
        raise ValueError(
            f"unknown code {', '.join(unknown)}; use {', '.join(LANGUAGES)}, or only {ALL} to disable trimming"
        )
    return codes


def kept_characters(languages: Sequence[str]) -> regex.Pattern[str]:
    """Returns a pattern that fully matches texts of characters that are kept for these languages."""
    return regex.compile(f"[{_ALWAYS}{''.join(LANGUAGES[code] for code in languages)}]*", regex.V1)


def has_character_of(language: str) -> regex.Pattern[str]:
    """Returns a pattern that finds a character of a language."""
    return regex.compile(f"[{LANGUAGES[language]}]", regex.V1)
