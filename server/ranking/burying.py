"""Moves the documents that rules bury to the end of a ranking."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from server.attributes.filter import AnyOf, Equals
from server.merchandising.rule import Rule
from server.ranking.found import AppliedRule, Effect, FoundDocument
from server.ranking.legs import Allowed, Legs, Ranker
from server.ranking.options import Mode
from server.ranking.position import BURIED
from server.ranking.state import State


@dataclass(frozen=True, eq=False)
class Buried:
    """The documents that rules bury, as a mask of slots, and the number of the first rule that does, by slot."""

    mask: NDArray[np.bool_]
    places: NDArray[np.int8]
    rules: Sequence[Rule]

    def marked(self, found: FoundDocument, state: State) -> FoundDocument:
        """Returns a buried document as it is in the ranking."""
        (slot,) = state.slots.slots_of([found.sequence])
        rule = self.rules[self.places[slot]]
        return found._replace(tier=BURIED, rules=(AppliedRule(rule.id, Effect.BURIED),))


def buried_by(state: State, rules: Sequence[Rule], *, pinned: Sequence[int]) -> Buried | None:
    """Returns what rules bury except for the pinned slots; None if they bury nothing."""
    sequences = state.rules.merchandising.sequences
    places = np.full(len(state.slots.sequences), -1, np.int8)
    for place, rule in reversed(list(enumerate(rules))):  # The first rule overwrites the others.
        if rule.buried_ids:
            places[state.slots.slots_of([sequences[id] for id in rule.buried_ids if id in sequences])] = place
        if rule.buried_if:
            conditions = tuple(Equals(each.attribute, each.value) for each in rule.buried_if)
            places[state.columns.select(AnyOf(conditions))] = place
    places[list(pinned)] = -1
    mask = places >= 0
    return Buried(mask, places, rules) if mask.any() else None


def parts_of(ranker: Ranker, buried: Buried | None, allowed: Allowed, *, depth: int) -> tuple[Legs, Callable[[], Legs]]:
    """Returns the legs of the documents that are not buried, and a function that returns those of the others."""
    if buried is None:
        return ranker.legs(allowed, depth=depth), lambda: Legs([])
    if ranker.options.mode is not Mode.HYBRID:
        first_allowed, last_allowed = (
            mask if allowed is None else allowed & mask for mask in (~buried.mask, buried.mask)
        )
        return ranker.legs(first_allowed, depth=depth), lambda: ranker.legs(last_allowed, depth=ranker.depth)
    # Fusion compares documents with each other: the scores of the others must not change because some are buried.
    found = ranker.legs(allowed, depth=depth).found
    is_buried = buried.mask[ranker.state.slots.slots_of([each.sequence for each in found])]
    first, last = (list(compress(found, chosen)) for chosen in (~is_buried, is_buried))
    return _fused_legs(first), lambda: _fused_legs(last)


def _fused_legs(found: list[FoundDocument]) -> Legs:
    """Returns the legs of some of the candidates of HYBRID mode."""
    dense = [each.dense_score for each in found if each.dense_score is not None]
    lexical = [each.lexical_score for each in found if each.lexical_score is not None]
    return Legs(
        found, sorted(dense, reverse=True), sorted(lexical, reverse=True), titled=any(each.score > 1 for each in found)
    )
