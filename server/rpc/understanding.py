"""Turns what a user typed into what is searched."""

from typing import NamedTuple

from server.ranking.state import State
from server.readings.reading import Reading


class Understood(NamedTuple):
    """A query as it is searched.

    Attributes:
        text: The text that is encoded and compared with titles.
        words: The text whose words are searched and highlighted.
        reading: The reading that replaced what was typed; None if nothing did.
    """

    text: str
    words: str
    reading: Reading | None = None


def understand(typed: str, state: State) -> Understood:
    """Returns how a normalised query is searched in a state of the index."""
    return Understood(typed, typed)
