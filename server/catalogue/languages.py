"""Compares language codes (BCP 47), so that a request for `en-US` finds a title in `en`.

Codes are compared without case, and `_` counts as `-`. A code that is not well-formed matches only itself.
"""

from collections.abc import Iterable

SUBTAG = "-"


def canonical_language(code: str) -> str:
    """Returns the form of a language code in which it is compared."""
    return code.strip().replace("_", SUBTAG).lower()


def is_in_language(language: str, code: str) -> bool:
    """Returns whether a code is a canonical language or a part of it: `ko-KR` is in `ko`, and any code is in ``""``."""
    return not language or f"{canonical_language(code)}{SUBTAG}".startswith(f"{language}{SUBTAG}")


def best_language(wanted: str, available: Iterable[str]) -> str | None:
    """Returns the available code that fits a wanted one best; None if none fits.

    It is the wanted code, or a longer one that begins with it (`en` finds `en-US`); else the wanted code is shortened
    (RFC 4647, section 3.4): `zh-Hant-TW` finds `zh-Hant`, then `zh`. Among equally good codes the first is returned.
    """
    by_canonical: dict[str, str] = {}
    for code in available:
        if code == wanted:
            return code
        by_canonical.setdefault(canonical_language(code), code)
    subtags = canonical_language(wanted).split(SUBTAG)
    while subtags and subtags[0]:
        shortened = SUBTAG.join(subtags)
        if shortened in by_canonical:
            return by_canonical[shortened]
        for canonical, code in by_canonical.items():
            if canonical.startswith(shortened + SUBTAG):
                return code
        subtags.pop()
        if len(subtags) > 1 and len(subtags[-1]) == 1:  # A singleton such as `x` only introduces the next subtag.
            subtags.pop()
    return None
