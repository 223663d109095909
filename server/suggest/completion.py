"""A completion that the index holds, and a suggestion that it finds."""

from enum import IntEnum
from typing import NamedTuple


class Source(IntEnum):
    """Where a completion's text comes from."""

    TITLE = 1
    EXAMPLE = 2
    SYNONYM = 3


class Kind(IntEnum):
    """The way in which a typed text fits a completion. Suggestions of a lower kind mostly come first."""

    START = 1  # The completion begins with it.
    WORD = 2  # A later word of the completion begins with it.
    INITIALS = 3  # It has initial consonants: ㅋㄷ for 카드.
    KEYBOARD = 4  # It fits in one of these ways if it is typed on the other keyboard layout.
    TYPO = 5  # It fits with one or two typing errors.


class Completion(NamedTuple):
    """A text that may complete what is typed.

    Attributes:
        text: The text as it is shown.
        source: Where it comes from.
        language: Its language's code; empty if unknown.
        weight: Its popularity, a finite number, kept as float32. Of suggestions of one kind, the heaviest come first.
        demand: How much users want its document, from 0 to 1; it adds to the weight.
    """

    text: str
    source: Source = Source.TITLE
    language: str = ""
    weight: float = 0.0
    demand: float = 0.0


class Suggestion(NamedTuple):
    """A completion that fits a typed text.

    Attributes:
        text: The completion's text.
        slot: The slot of its document; below 0 if it belongs to none.
        source: Where the text comes from.
        language: Its language's code; empty if unknown.
        weight: Its popularity.
        kind: How the typed text fits.
        errors: Number of typing errors; 0 unless the kind is TYPO.
        ranges: Start and end, in code points of `text`, of each part that fits what was typed.
    """

    text: str
    slot: int
    source: Source
    language: str
    weight: float
    kind: Kind
    errors: int
    ranges: tuple[tuple[int, int], ...]
