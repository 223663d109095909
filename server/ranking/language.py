"""The language of a query, which decides the probes that it is compared with."""

from server.composition import composed

SYLLABLE_LETTERS = 2
"""Weight of a Hangul syllable, or of a letter of any other script, against one Latin letter."""


def language_of(query: str) -> str | None:
    """Returns the language whose probes a query is compared with, by its letters; None if there is none."""
    korean = latin = other = 0
    for character in composed(query):
        if not character.isalpha():
            continue
        if "\uac00" <= character <= "\ud7a3" or "\u1100" <= character <= "\u11ff" or "\u3130" <= character <= "\u318f":
            korean += SYLLABLE_LETTERS
        elif character < "\u0250" or "\u1e00" <= character <= "\u1eff":
            latin += 1
        else:
            other += SYLLABLE_LETTERS
    if other > korean + latin or not korean + latin + other:
        return None
    return "ko" if korean >= latin else "en"
