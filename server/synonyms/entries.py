"""The entries of a table: which phrases its rules add for each phrase, by the form in which phrases are compared."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Self

from server.synonyms.rule import MAX_PHRASES, Form, Kind, Rule

HEAD = 2
"""Number of a phrase's first characters by which its length is looked up."""


class Entry(NamedTuple):
    """The phrases that rules of one language add for equal keys, and the spellings of the phrases with that key."""

    language: str
    spellings: frozenset[str]
    targets: tuple[tuple[Kind, Form], ...]


class Entries(NamedTuple):
    """Immutable.

    Attributes:
        by_key: The entries of each key, one for each language.
        lengths: The lengths of the keys with the same first characters, longest first.
        rules: The rules with a phrase of each key, in order.
    """

    by_key: Mapping[str, tuple[Entry, ...]]
    lengths: Mapping[str, tuple[int, ...]]
    rules: Mapping[str, tuple[Rule, ...]]

    def changed(self, *, added: Iterable[Rule], removed: Collection[Rule]) -> Self:
        """Returns the entries with rules that are new, and without rules that are there."""
        new: dict[str, list[Rule]] = {}
        for rule in added:
            for key in {form.key for form in _sources(rule)}:
                new.setdefault(key, []).append(rule)
        gone = set(removed)
        touched = {*new, *(form.key for rule in gone for form in _sources(rule))}
        by_key, rules = dict(self.by_key), dict(self.rules)
        for key in touched:
            left = [rule for rule in rules.pop(key, ()) if rule not in gone]
            by_key.pop(key, None)
            if of_key := sorted((*left, *new.get(key, ())), key=place_of):
                rules[key], by_key[key] = tuple(of_key), _entries_of(key, of_key)
        lengths: dict[str, set[int]] = {}
        for key in by_key:
            lengths.setdefault(key[:HEAD], set()).add(len(key))
        descending = {head: tuple(sorted(some, reverse=True)) for head, some in lengths.items()}
        return type(self)(by_key, descending, rules)


NO_ENTRIES = Entries({}, {}, {})


def place_of(rule: Rule) -> tuple[str, str, str]:
    """Returns what rules are ordered by: language, first phrase and text."""
    return rule.language, rule.left, rule.text


def _sources(rule: Rule) -> Sequence[Form]:
    """Returns the phrases for which a rule adds others."""
    return rule.forms[:1] if rule.kind is Kind.ONE_WAY else rule.forms


def _entries_of(key: str, rules: Iterable[Rule]) -> tuple[Entry, ...]:
    """Returns what rules, in their order, say for a key that all of them have."""
    spellings: dict[str, set[str]] = {}
    targets: dict[str, list[tuple[Kind, Form]]] = {}
    for rule in rules:
        for place, form in enumerate(_sources(rule)):
            if form.key == key:
                spellings.setdefault(rule.language, set()).add(form.spelling)
                others = targets.setdefault(rule.language, [])
                if len(others) < MAX_PHRASES:
                    others += [(rule.kind, each) for each in (*rule.forms[:place], *rule.forms[place + 1 :])]
    return tuple(
        Entry(language, frozenset(spellings[language]), tuple(others[:MAX_PHRASES]))
        for language, others in targets.items()
    )
