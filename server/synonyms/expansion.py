"""The expansion of one query with synonyms, for the search by words and for the model.

The search by words takes the query and all alternatives; the model takes a rewritten query. Of the ways that were
compared on slang and on the phrases that it stands for, these found the right document first most often.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from server.synonyms.words import Span, key_of, spans_of, words_of

MAX_ALTERNATIVES = 8
"""Phrases that are added to a query, and so the places where it is expanded."""


class Found(NamedTuple):
    """A phrase of a rule in the words of a query.

    Attributes:
        first: Position of its first word.
        last: Position of its last word.
        rest: What follows it in its last word, such as a particle.
        targets: The phrases that may be added: first those of one-way rules, whose number is `one_way`.
    """

    first: int
    last: int
    rest: str
    targets: Sequence[str]
    one_way: int


class Occurrence(NamedTuple):
    """A phrase of a rule in a query.

    Attributes:
        span: Its range of characters.
        alternatives: The phrases that rules add for it.
        replaced: Whether the first alternative is that of a one-way rule, which replaces the phrase for the model.
    """

    span: Span
    alternatives: tuple[str, ...]
    replaced: bool


class Expansion(NamedTuple):
    """A query, and the phrases of rules in it, in the order of the query and without overlaps.

    `query` is the query as it was given. Only where folding makes several words of one (`㈜`), it has the folded words.
    """

    query: str
    occurrences: tuple[Occurrence, ...]

    @property
    def alternatives(self) -> tuple[str, ...]:
        """All phrases that are added, at most `MAX_ALTERNATIVES`: the first of each place, then the second, …."""
        rounds = zip_longest(*(each.alternatives for each in self.occurrences))
        return tuple(dict.fromkeys(phrase for some in rounds for phrase in some if phrase is not None))

    @property
    def lexical(self) -> str:
        """The text for the search by words: the query, then the alternatives. A document with any of them is found."""
        return " ".join((self.query, *self.alternatives))

    def rewritten(self, documents: Callable[[Sequence[str]], Sequence[int]]) -> str:
        """Returns the text for the model: the query with a better phrase in each place. Particles stay.

        A one-way rule replaces its phrase. Of phrases that are equal, the one that most documents have is taken;
        `documents` returns their numbers. Other spaces are no reason to replace a phrase.
        """
        equal = [(self.query[slice(*each.span)], *each.alternatives) for each in self.occurrences if not each.replaced]
        phrases = list(dict.fromkeys(phrase for some in equal for phrase in some))
        counts = dict(zip(phrases, documents(phrases), strict=True)) if phrases else {}
        parts, end, places = [], 0, iter(equal)
        for (start, stop), alternatives, replaced in self.occurrences:
            better = alternatives[0] if replaced else _most_frequent(next(places), counts)
            parts += [self.query[end:start], better]
            end = stop
        return "".join((*parts, self.query[end:]))


def expansion_of(query: str, words: Sequence[str], found: Sequence[Found]) -> Expansion:
    """Returns the expansion of a query that begins with these words, with at most `MAX_ALTERNATIVES` phrases.

    Of `found` there are at most as many.
    """
    spans = spans_of(query, words)
    if spans is None:
        words = words_of(query)
        query, spans = " ".join(words), _consecutive(words)
    counts = _shares([len(each.targets) for each in found])
    occurrences = [
        Occurrence(
            Span(spans[each.first].start, _end_of(query, spans[each.last], each.rest)),
            tuple(each.targets[:count]),
            replaced=each.one_way > 0,
        )
        for each, count in zip(found, counts, strict=True)
    ]
    return Expansion(query, tuple(occurrences))


def _most_frequent(phrases: Sequence[str], counts: Mapping[str, int]) -> str:
    """Returns the first of the phrases that differ from the most frequent one by spaces only."""
    key = key_of(max(phrases, key=counts.__getitem__))
    return next(phrase for phrase in phrases if key_of(phrase) == key)


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
