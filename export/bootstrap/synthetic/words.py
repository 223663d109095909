"""Lists of words, written as texts."""

from __future__ import annotations


def words_of(text: str) -> tuple[str, ...]:
    """Returns the words of a text."""
    return tuple(text.split())
