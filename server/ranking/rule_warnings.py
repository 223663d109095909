"""Warns of rules of merchandising that name documents or attributes which the catalogue does not have."""

from collections.abc import Iterator, Sequence
from itertools import islice

from server.attributes.warnings import MOST_WARNINGS, SHOWN_CHARACTERS, unknown_attribute
from server.merchandising.rule import Rule
from server.ranking.state import State


def rule_warnings(rules: Sequence[tuple[str, Rule]], state: State) -> list[str]:
    """Returns a sentence for each unknown document and attribute of rules, which are given with the path to show.

    There are at most MOST_WARNINGS.
    """
    return list(islice(_warnings(rules, state), MOST_WARNINGS))


def _warnings(rules: Sequence[tuple[str, Rule]], state: State) -> Iterator[str]:
    sequences = state.rules.merchandising.sequences
    asked = {each.attribute for _, rule in rules for each in rule.buried_if}
    known = state.attributes(asked | {each.attribute for _, rule in rules for each in rule.boosts})
    for path, rule in rules:
        for field, ids in (("pinned_ids", rule.pinned_ids), ("buried_ids", rule.buried_ids)):
            for position, id in enumerate(ids):
                if not state.slots.live[state.slots.slots_of([sequences.get(id, 0)])].any():
                    yield f"{path}.{field}[{position}]: no document has the id {id[:SHOWN_CHARACTERS]!r}"
        attributes = [(f"buried_if[{at}].attribute", each.attribute) for at, each in enumerate(rule.buried_if)]
        attributes += [(f"boosts[{at}].attribute", each.attribute) for at, each in enumerate(rule.boosts)]
        for field, attribute in attributes:
            if (problem := unknown_attribute(attribute, known)) is not None:
                yield f"{path}.{field}: {problem}"
