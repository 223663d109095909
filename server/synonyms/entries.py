"""The rules of a table by their phrases, in the form in which phrases are compared, and what they say for one.

A table may have 30,000 phrases. Few objects are kept for each: the garbage collector visits all of them.
"""

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


class PhraseIndex(NamedTuple):
    """Immutable.

    Attributes:
        rules: The rules with a phrase of each key, in order.
        lengths: The lengths of the keys with the same first characters, longest first.
    """

    rules: Mapping[str, tuple[Rule, ...]]
    lengths: Mapping[str, tuple[int, ...]]

    def changed(self, *, added: Iterable[Rule], removed: Collection[Rule]) -> Self:
        """Returns the index with rules that are new, and without rules that are there."""
        rules, gone = dict(self.rules), set(removed)
        for key in {key for rule in gone for key in _keys(rule)}:
            if left := tuple(rule for rule in rules.pop(key) if rule not in gone):
                rules[key] = left
        unsorted: dict[str, list[Rule]] = {}
        for rule in added:
            alone = (rule,)
            for key in _keys(rule):
                if rules.setdefault(key, alone) is not alone:
                    unsorted.setdefault(key, []).append(rule)
        for key, new in unsorted.items():
            rules[key] = tuple(sorted((*rules[key], *new), key=place_of))
        return type(self)(rules, _lengths(rules))


NO_PHRASES = PhraseIndex({}, {})


def place_of(rule: Rule) -> tuple[str, str, str]:
    """Returns what rules are ordered by: language, first phrase and text."""
    return rule.language, rule.left, rule.text


def entries_of(key: str, rules: Iterable[Rule]) -> tuple[Entry, ...]:
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


def _sources(rule: Rule) -> Sequence[Form]:
    """Returns the phrases for which a rule adds others."""
    return rule.forms[:1] if rule.kind is Kind.ONE_WAY else rule.forms


def _keys(rule: Rule) -> set[str]:
    return {form.key for form in _sources(rule)}


def _lengths(keys: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Returns the lengths of keys by their first characters, longest first."""
    bits: dict[str, int] = {}
    for key in keys:
        bits[key[:HEAD]] = bits.get(key[:HEAD], 0) | 1 << len(key)
    longest = max(bits.values(), default=0).bit_length()
    lengths = {each: tuple(length for length in range(longest, 0, -1) if each >> length & 1) for each in bits.values()}
    return {head: lengths[each] for head, each in bits.items()}
