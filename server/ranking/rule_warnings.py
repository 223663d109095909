"""Warns of rules of merchandising that name documents or attributes which the catalogue does not have."""

from collections.abc import Iterator, Sequence
from itertools import islice

from server.attributes.warnings import MOST_WARNINGS, SHOWN_CHARACTERS, unknown_attribute
from server.merchandising.rule import Rule
from server.ranking.corpus import NOTHING_BURIED, Searched


def rule_warnings(rules: Sequence[tuple[str, Rule]], state: Searched) -> list[str]:
    """Returns a sentence for each unknown document and attribute of rules, which are given with the path to show.

    There are at most MOST_WARNINGS.
    """
    return list(islice(_warnings(rules, state), MOST_WARNINGS))


def _warnings(rules: Sequence[tuple[str, Rule]], state: Searched) -> Iterator[str]:
    sequences = state.rules.merchandising.sequences
    asked = {each.attribute for _, rule in rules for each in rule.buried_if}
    asked |= {each.attribute for _, rule in rules for each in rule.boosts}
    corpus = state.corpus()
    known, _ = corpus.summary(list(asked))
    named = {id for _, rule in rules for id in (*rule.pinned_ids, *rule.buried_ids)}
    found = corpus.moved([sequences[id] for id in named if id in sequences], NOTHING_BURIED).pinned
    for path, rule in rules:
        for field, ids in (("pinned_ids", rule.pinned_ids), ("buried_ids", rule.buried_ids)):
            for position, id in enumerate(ids):
                if sequences.get(id) not in found:
                    yield f"{path}.{field}[{position}]: no document has the id {id[:SHOWN_CHARACTERS]!r}"
        attributes = [(f"buried_if[{at}].attribute", each.attribute) for at, each in enumerate(rule.buried_if)]
        attributes += [(f"boosts[{at}].attribute", each.attribute) for at, each in enumerate(rule.boosts)]
        for field, attribute in attributes:
            if (problem := unknown_attribute(attribute, known)) is not None:
                yield f"{path}.{field}: {problem}"
