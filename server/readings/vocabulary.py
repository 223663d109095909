"""The evidence about a reading: which words the catalogue has, and which of its texts begin as typed."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Completion(NamedTuple):
    """A text of the catalogue, and how much it should be preferred: at least 0, larger is better."""

    text: str
    score: float


class Vocabulary(Protocol):
    """The words and texts of a catalogue. Words are composed (NFC), in lower case, and hold letters and digits only."""

    def has_words(self, words: Sequence[str]) -> Sequence[bool]:
        """Returns for each word whether a document has it as a whole word."""

    def document_counts(self, words: Sequence[str]) -> Sequence[int]:
        """Returns for each word how many documents have it as a whole word. It is made for hundreds of words."""

    def has_title(self, text: str) -> bool:
        """Returns whether a document has a text as its title."""

    def pair_shares(self, words: Sequence[str]) -> Sequence[float]:
        """Returns for each word the share of its pairs of neighbouring characters that are in words of the catalogue.

        The share of a word of one character is 0.
        """

    def complete(self, text: str, *, limit: int) -> Sequence[Completion]:
        """Returns the best texts that have a word from which on they begin like a text, at most `limit`, best first.

        A consonant that belongs to no syllable matches the syllables that begin with it, and the last syllable matches
        those that begin with its letters. Spaces are ignored. Texts that differ by a typing error need not be found.
        """
