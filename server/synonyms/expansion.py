"""The expansion of one query with synonyms, for the search by words and for the model."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from server.synonyms.words import Span, spans_of, words_of

MAX_ALTERNATIVES = 8
"""Phrases that are added to a query, and so the places where it is expanded."""


class Found(NamedTuple):
    """A phrase of a rule in the words of a query.

    Attributes:
        first: Position of its first word.
        last: Position of its last word.
        rest: What follows it in its last word, such as a particle.
        targets: The phrases that may be added, best first.
    """

    first: int
    last: int
    rest: str
    targets: Sequence[str]


class Occurrence(NamedTuple):
    """A phrase of a rule in a query: its range of characters, and the phrases that it stands for, best first."""

    span: Span
    alternatives: tuple[str, ...]


class Expansion(NamedTuple):
    """A query, and the phrases of rules in it, in the order of the query and without overlaps.

    `query` is the query as it was given. Only where folding makes several words of one (`㈜`), it has the folded words.
    """

    query: str
    occurrences: tuple[Occurrence, ...]

    @property
    def alternatives(self) -> tuple[str, ...]:
        """All phrases that are added, at most `MAX_ALTERNATIVES`: the best of each place, then the second best, …."""
        rounds = zip_longest(*(each.alternatives for each in self.occurrences))
        return tuple(dict.fromkeys(phrase for some in rounds for phrase in some if phrase is not None))

    @property
    def lexical(self) -> str:
        """The text for the search by words: the query, then the alternatives. A document with any of them is found."""
        return " ".join((self.query, *self.alternatives))

    @property
    def rewritten(self) -> str:
        """The text for the model: the query with the best alternative in each place. Particles stay."""
        parts, end = [], 0
        for (start, stop), alternatives in self.occurrences:
            parts += [self.query[end:start], alternatives[0]]
            end = stop
        return "".join((*parts, self.query[end:]))


def expansion_of(query: str, words: Sequence[str], found: Sequence[Found]) -> Expansion:
    """Returns the expansion of a query that begins with these words, with at most `MAX_ALTERNATIVES` phrases."""
    found = found[:MAX_ALTERNATIVES]
    spans = spans_of(query, words)
    if spans is None:
        words = words_of(query)
        query, spans = " ".join(words), _consecutive(words)
    counts = _shares([len(each.targets) for each in found])
    occurrences = [
        Occurrence(
            Span(spans[each.first].start, _end_of(query, spans[each.last], each.rest)), tuple(each.targets[:count])
        )
        for each, count in zip(found, counts, strict=True)
    ]
    return Expansion(query, tuple(occurrences))


def _consecutive(words: Sequence[str]) -> list[Span]:
    """Returns the spans of words that are separated by single spaces."""
    spans, start = [], 0
    for word in words:
        spans.append(Span(start, start + len(word)))
        start += len(word) + 1
    return spans


def _end_of(text: str, word: Span, rest: str) -> int:
    """Returns where the part of a word before `rest`, which is folded, ends in the text."""
    if not rest:
        return word.end
    near = word.end - len(rest)
    places = (near, *range(word.start + 1, word.end))  # Folding may change the length.
    return next((place for place in places if words_of(text[place : word.end]) == [rest]), near)


def _shares(wanted: Sequence[int]) -> list[int]:
    """Returns how many of the alternatives that each place wants it gets: one after the other, up to the bound."""
    shares = [0] * len(wanted)
    left = MAX_ALTERNATIVES
    while left and shares != list(wanted):
        for place, most in enumerate(wanted):
            if left and shares[place] < most:
                shares[place] += 1
                left -= 1
    return shares
