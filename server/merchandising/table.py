"""A table of rules, and the search for those that apply to a query.

Queries and rules are compared as synonyms are: folded, and without spaces next to Hangul. A phrase of Hangul may be a
part of a word (`대출` is in `신용대출`), other letters are whole words (`cat` is not in `category`). Phrases are looked
up by their first characters, so that a query costs about as much with 1,000 rules as with one.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from server.catalogue.languages import is_in_language
from server.errors import UnfitRule
from server.merchandising.rule import Match, Rule
from server.synonyms.words import is_hangul, joined, words_of

MAX_RULES = 1000
MAX_NAMED_DOCUMENTS = 10_000
"""Bounds of a table: rules, and different documents that they name."""

MAX_APPLIED = 16
"""Maximum rules that are applied to one query: the first in the order of their ids."""

MAX_READ_CHARACTERS = 2000
"""Phrases are found within the first characters of a query. A longer one equals no rule's query."""

HEAD = 2
"""Number of a phrase's first characters by which it is looked up."""

SPACED_LENGTH = 4
"""A phrase of fewer characters is not found across a space that it does not have, unless it begins and ends with words:
`이자` is not in `이 자동차`, but `대출` is in `은행 대 출 상담`."""


class _Phrase(NamedTuple):
    """A rule's phrase with its spaces, the rule's place, and whether a query must begin with the phrase."""

    spelling: str
    place: int
    first: bool


class RuleTable:
    """An immutable table, safe to use from many threads at once. `rules` are in the order of their ids."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        """Takes canonical rules with different ids, in any order. Raises UnfitRule if there are too many."""
        self.rules = tuple(sorted(rules, key=lambda rule: rule.id))
        if len(self.rules) > MAX_RULES:
            raise UnfitRule(f"there are {len(self.rules)} rules: keep at most {MAX_RULES}")
        self.document_ids = frozenset(id for rule in self.rules for id in (*rule.pinned_ids, *rule.buried_ids))
        if len(self.document_ids) > MAX_NAMED_DOCUMENTS:
            named = len(self.document_ids)
            raise UnfitRule(f"the rules name {named} documents: name at most {MAX_NAMED_DOCUMENTS}")
        self._every: list[int] = []  # Rules are identified by their place.
        self._exact: dict[str, list[int]] = {}
        self._phrases: dict[str, list[_Phrase]] = {}
        for place, rule in enumerate(self.rules):
            self._add(place, rule)
        lengths: dict[str, set[int]] = {}
        for key in self._phrases:
            lengths.setdefault(key[:HEAD], set()).add(len(key))
        self._lengths = {head: tuple(some) for head, some in lengths.items()}
        self._first = {head[0] for head in lengths}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RuleTable) and self.rules == other.rules

    def __hash__(self) -> int:
        return hash(self.rules)

    def fitting(self, query: str, *, language: str, seconds: float) -> list[Rule]:
        """Returns the rules that apply to a query at a time in seconds since 1970, in order; at most MAX_APPLIED.

        `language` is the query's language code; a query with an empty one gets the rules of all languages.
        """
        if not self.rules:
            return []
        words = words_of(query[:MAX_READ_CHARACTERS])
        text, starts = joined(words)
        found = {*self._every, *self._found(words, text, starts)}
        if len(query) <= MAX_READ_CHARACTERS:
            found.update(self._exact.get(text, ()))
        fitting = (
            rule
            for rule in map(self.rules.__getitem__, sorted(found))
            if (not language or is_in_language(rule.language_code, language)) and rule.applies_at(seconds)
        )
        return list(islice(fitting, MAX_APPLIED))

    def _add(self, place: int, rule: Rule) -> None:
        words = words_of(rule.query)
        key = joined(words).text
        if not key:
            self._every.append(place)
        elif rule.match is Match.EXACT:
            self._exact.setdefault(key, []).append(place)
        else:
            phrase = _Phrase(" ".join(words), place, rule.match is Match.PREFIX)
            self._phrases.setdefault(key, []).append(phrase)

    def _found(self, words: Sequence[str], text: str, starts: Sequence[int]) -> Iterator[int]:
        """Yields the places of the rules whose phrase a query contains or begins with. They may repeat."""
        if self._first.isdisjoint(text):
            return
        spaced = " ".join(words)
        ends = {start + len(word) for start, word in zip(starts, words, strict=True)}

        def fits(phrase: _Phrase, start: int, end: int) -> bool:
            if (phrase.first and start) or not _is_whole(text, start, end):
                return False
            if end - start >= SPACED_LENGTH or (start in starts and end in ends):
                return True
            return _is_spelt(phrase.spelling, spaced, first=phrase.first)

        for start, character in enumerate(text):
            if character not in self._first:
                continue
            lengths = self._lengths.get(text[start : start + HEAD], ()) + self._lengths.get(character, ())
            for length in lengths:
                end = start + length
                if end <= len(text) and (phrases := self._phrases.get(text[start:end])):
                    yield from (phrase.place for phrase in phrases if fits(phrase, start, end))


def _is_spelt(spelling: str, text: str, *, first: bool) -> bool:
    """Returns whether a phrase is in a text with its spaces."""
    start = text.find(spelling)
    while start >= 0 and not _is_whole(text, start, start + len(spelling)):
        start = text.find(spelling, start + 1)
    return start == 0 or (start > 0 and not first)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Returns whether a part of a text does not begin or end within a word that is not Hangul."""
    begins = start == 0 or _may_meet(text[start - 1], text[start])
    return begins and (end == len(text) or _may_meet(text[end - 1], text[end]))


def _may_meet(one: str, other: str) -> bool:
    """Returns whether a phrase may begin or end between two characters."""
    return " " in (one, other) or is_hangul(one) or is_hangul(other)
