"""A table of rules, and the search for their phrases in a query.

A phrase is found at the beginning of a word; the longest one wins. After it the word ends, or Korean endings follow
(`체카로`), or the script changes (`ATM수수료`), or a compound continues (`체카발급`). Rules apply once: what they add
is not expanded again, so circles are harmless.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import NamedTuple, Self

from server.catalogue.languages import is_in_language
from server.errors import UnfitRule
from server.synonyms.endings import is_ending
from server.synonyms.entries import HEAD, NO_PHRASES, Entry, entries_of, place_of
from server.synonyms.expansion import MAX_ALTERNATIVES, Expansion, Found, expansion_of
from server.synonyms.rule import Kind, Rule
from server.synonyms.words import Joined, is_hangul, joined, words_of

MAX_RULES = 10_000
MAX_ALL_PHRASES = 30_000
MAX_LANGUAGES = 32
"""Bounds of a table: rules, phrases of all rules together, and languages that they name."""

MAX_READ_CHARACTERS = 2000
MAX_READ_WORDS = 64
"""Phrases are found among the first words of a query, within its first characters."""

SPACED_LENGTH = 4
"""A phrase of fewer characters is not found across a space that it does not have, unless it ends with a word: `이자` is
not in `이 자동차`, but `마통` is in `마 통 금리`."""

COMPOUND_LENGTH = 2
"""Least number of characters of a phrase within a longer word, and of the Hangul that follows its Hangul there."""


class _Longest(NamedTuple):
    length: int
    found: Found


class SynonymTable:
    """An immutable table, safe to use from many threads at once. Tables of equal rules are equal."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        """Takes rules in any order; a rule that is there twice counts once. Raises UnfitRule if there are too many."""
        self._by_id = _checked({rule.id: rule for rule in rules})
        self._phrases = NO_PHRASES.changed(added=self._by_id.values(), removed=())
        self._entries: dict[str, tuple[Entry, ...]] = {}  # Those that were asked for. Threads may set the same.

    def changed(self, *, added: Iterable[Rule] = (), removed: Iterable[str] = ()) -> Self:
        """Returns the table without the rules whose ids are `removed`, and with others. Raises UnfitRule.

        A table of 10,000 rules changes in a tenth of the time that it takes to make one.
        """
        by_id = dict(self._by_id)
        gone = [rule for id in removed if (rule := by_id.pop(id, None)) is not None]
        new = {rule.id: rule for rule in added if rule.id not in by_id}
        changed = type(self)()
        changed._by_id = _checked(by_id | new)
        changed._phrases = self._phrases.changed(added=new.values(), removed=gone)
        return changed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SynonymTable) and self._by_id == other._by_id

    def __hash__(self) -> int:
        return hash(frozenset(self._by_id))

    def __len__(self) -> int:
        """Returns the number of rules."""
        return len(self._by_id)

    @property
    def by_id(self) -> Mapping[str, Rule]:
        """The rules by their ids."""
        return self._by_id

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, ordered by language, first phrase and text."""
        return tuple(sorted(self._by_id.values(), key=place_of))

    def expand(self, query: str, *, language: str | None = None) -> Expansion | None:
        """Returns what the rules add to a query; None if they add nothing.

        Rules without a language apply to all queries, the others to queries in their language or a part of it: `ko`
        also to `ko-KR`. Without `language` all rules apply.
        """
        if not self._by_id:
            return None
        words = words_of(query[:MAX_READ_CHARACTERS])
        if len(query) > MAX_READ_CHARACTERS:
            del words[-1:]  # It may be cut.
        del words[MAX_READ_WORDS:]
        found = list(islice(self._found(words, joined(words), language), MAX_ALTERNATIVES))
        return expansion_of(query, words, found) if found else None

    def _found(self, words: Sequence[str], joint: Joined, language: str | None) -> Iterator[Found]:
        text, starts = joint
        end, lengths_of = 0, self._phrases.lengths
        for first, start in enumerate(starts):
            lengths = lengths_of.get(text[start : start + HEAD], ())
            if text[start] in lengths_of:
                lengths += lengths_of[text[start]]
            if lengths and start >= end:
                longest = self._longest(words, joint, first, lengths, language)
                if longest is not None:
                    end = start + longest.length
                    if longest.found.targets:
                        yield longest.found

    def _longest(
        self, words: Sequence[str], joint: Joined, first: int, lengths: Iterable[int], language: str | None
    ) -> _Longest | None:
        """Returns the longest phrase that begins with a word and has one of the lengths, which descend."""
        text, starts = joint
        start, rules_of = starts[first], self._phrases.rules
        # Lookups in one expression are faster than in the loop: of up to 60 keys, most are no phrases. The end of the
        # text is the same key for several lengths.
        for key in dict.fromkeys([key for length in lengths if (key := text[start : start + length]) in rules_of]):
            length = len(key)
            last = bisect_right(starts, start + length - 1) - 1
            rest = text[start + length : starts[last] + len(words[last])]
            if not _may_follow(key, rest, compound=first == last):
                continue
            spelling = " ".join((*words[first:last], words[last].removesuffix(rest)))
            if (entries := self._entries.get(key)) is None:
                entries = self._entries[key] = entries_of(key, rules_of[key])
            fitting = [
                entry
                for entry in entries
                if (language is None or is_in_language(entry.language, language))
                and (first == last or not rest or length >= SPACED_LENGTH or spelling in entry.spellings)
            ]
            if fitting:
                # A query that has a target already, such as `카카오페이` where `카카오` is found, needs it no more.
                targets = [
                    (kind, target.phrase)
                    for entry in fitting
                    for kind, target in entry.targets
                    if target.spelling != spelling and (target.key == key or not _has(joint, target.key))
                ]
                one_way = dict.fromkeys(phrase for kind, phrase in targets if kind is Kind.ONE_WAY)
                every = one_way | dict.fromkeys(phrase for _, phrase in targets)
                return _Longest(length, Found(first, last, rest, list(every), len(one_way)))
        return None


def _checked(by_id: dict[str, Rule]) -> dict[str, Rule]:
    """Returns the rules; raises UnfitRule if they exceed the bounds of a table."""
    if len(by_id) > MAX_RULES:
        raise UnfitRule(f"there are {len(by_id)} rules: keep at most {MAX_RULES}")
    phrases = sum(len(rule.phrases) for rule in by_id.values())
    if phrases > MAX_ALL_PHRASES:
        raise UnfitRule(f"the rules have {phrases} phrases: keep at most {MAX_ALL_PHRASES}")
    languages = {rule.language for rule in by_id.values()} - {""}
    if len(languages) > MAX_LANGUAGES:
        raise UnfitRule(f"the rules name {len(languages)} languages: name at most {MAX_LANGUAGES}")
    return by_id


def _may_follow(key: str, rest: str, *, compound: bool) -> bool:
    """Returns whether a phrase may be followed by the rest of a word. `compound`: whether it begins this word."""
    if is_ending(rest):
        return True
    if not compound or len(key) < COMPOUND_LENGTH:
        return False
    if is_hangul(key[-1]) != is_hangul(rest[0]):
        return True
    return is_hangul(rest[0]) and len(rest) >= COMPOUND_LENGTH


def _has(joint: Joined, key: str) -> bool:
    """Returns whether a phrase is at the beginning of a word."""
    return key in joint.text and any(joint.text.startswith(key, start) for start in joint.starts)
