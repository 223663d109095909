"""Rearranges a ranking as the rules of its query say.

Pinned documents come first if the filter allows them, whether the query finds them or not and whatever their scores.
Buried documents come last. Boosts change the scores of the candidates: a boost with the share s replaces the share s of
a score, between the lowest and the highest of the candidates, by the document's value (`server.merchandising.boosts`).
So boosted scores stay within the range of the others; all boosts of a query together have at most MAX_SHARE.

If rules contradict each other, pinning wins over burying, burying over boosting, and the rule with the lower id over
the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.attributes.filter import AnyOf, Equals
from server.merchandising.boosts import boost_values
from server.merchandising.rule import MAX_SHARE, Boost, Rule
from server.ranking.found import AppliedRule, Effect, FoundDocument
from server.ranking.fusion import LEAST_TITLED, title_bonuses
from server.ranking.legs import Allowed, Ranker
from server.ranking.options import Mode, SearchOptions
from server.ranking.position import BURIED, DEEP, MAX_PINNED_HITS
from server.ranking.state import State


class Merchandised(NamedTuple):
    """A ranking after rules, and whether probably none of its documents is a good answer.

    What a rule pins for a query is a good answer to it, but not what a rule pins for every query.
    """

    ranking: list[FoundDocument]
    no_good_answer: bool


def fitting_rules(state: State, options: SearchOptions) -> list[Rule]:
    """Returns the rules that apply to a search, in order."""
    if options.asked is None:
        return []
    query, language = options.asked
    return state.rules.merchandising.table.fitting(query, language=language, seconds=options.seconds)


def merchandised(ranker: Ranker, rules: Sequence[Rule], allowed: Allowed) -> Merchandised:
    """Ranks documents by rules, of which there is at least one."""
    state, options = ranker.state, ranker.options
    pins = _pins(state, rules, allowed)
    buried = _buried(state, rules, list(pins))
    boosts = _boosts(rules)
    first = allowed if buried is None else ~buried.mask if allowed is None else allowed & ~buried.mask
    legs = ranker.legs(first, depth=ranker.depth_of_candidates if boosts else ranker.depth)
    pinned = _pinned(ranker, pins, legs.found)
    shown = {each.sequence for each in pinned}
    most = options.wanted + len(pins)  # Some of them may be pinned.
    found = ranker.reaching(_boosted(ranker, boosts, legs.found, most=most), most=most)
    ranking = pinned + [each for each in found if each.sequence not in shown]
    if buried is not None and len(ranking) < options.wanted:
        mask = buried.mask if allowed is None else allowed & buried.mask
        last = ranker.legs(mask, depth=ranker.depth)
        hits = ranker.reaching(last.found, most=options.wanted)
        ranking += [buried.marked(each, state) for each in hits]
        legs, found = (legs, found) if found else (last, hits)
    answered = any(pin.for_query for pin in pins.values())
    no_good_answer = not answered and (not found or ranker.no_good_answer(legs))
    return Merchandised(ranker.completed(ranking[: options.wanted]), no_good_answer)


class _Pin(NamedTuple):
    """The place of a pinned document, the rule that pins it, and whether this rule is for some queries only."""

    place: int
    rule_id: str
    for_query: bool


def _pins(state: State, rules: Sequence[Rule], allowed: Allowed) -> dict[int, _Pin]:
    """Returns the pins of the documents that may be found, by slot, in the order of their places."""
    sequences = state.rules.merchandising.sequences
    pins: dict[int, _Pin] = {}
    for rule in rules:
        for id in rule.pinned_ids:
            for slot in state.slots.slots_of([sequences.get(id, 0)]).tolist():
                if slot not in pins and state.slots.live[slot] and (allowed is None or allowed[slot]):
                    pins[slot] = _Pin(len(pins), rule.id, bool(rule.query))
                    if len(pins) == MAX_PINNED_HITS:
                        return pins
    return pins


def _pinned(ranker: Ranker, pins: dict[int, _Pin], found: Sequence[FoundDocument]) -> list[FoundDocument]:
    """Returns the pinned documents in order, with the scores that they have without rules."""
    sequences = {int(ranker.state.slots.sequences[slot]): slot for slot in pins}
    known = {sequences[each.sequence]: each for each in found if each.sequence in sequences}
    missing = [slot for slot in pins if slot not in known]
    known |= dict(zip(missing, ranker.scored(missing), strict=True)) if missing else {}
    return [
        known[slot]._replace(tier=pin.place, rules=(AppliedRule(pin.rule_id, Effect.PINNED),))
        for slot, pin in pins.items()
    ]


@dataclass(frozen=True, eq=False)
class _Buried:
    """The documents that rules bury, as a mask of slots, and the number of the first rule that does, by slot."""

    mask: NDArray[np.bool_]
    places: NDArray[np.int8]
    rules: Sequence[Rule]

    def marked(self, found: FoundDocument, state: State) -> FoundDocument:
        """Returns a buried document as it is in the ranking."""
        (slot,) = state.slots.slots_of([found.sequence])
        rule = self.rules[self.places[slot]]
        return found._replace(tier=BURIED, rules=(AppliedRule(rule.id, Effect.BURIED),))


def _buried(state: State, rules: Sequence[Rule], pinned: Sequence[int]) -> _Buried | None:
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
    return _Buried(mask, places, rules) if mask.any() else None


class _Share(NamedTuple):
    """A boost, the rule that it comes from, and its share of the score."""

    rule_id: str
    boost: Boost
    share: float


def _boosts(rules: Sequence[Rule]) -> list[_Share]:
    """Returns the boosts of rules. Their shares are lowered if they are more than MAX_SHARE together."""
    boosts = [(rule.id, boost) for rule in rules for boost in rule.boosts]
    together = sum(boost.share for _, boost in boosts)
    factor = min(1.0, MAX_SHARE / together) if together else 0.0
    return [_Share(rule_id, boost, boost.share * factor) for rule_id, boost in boosts]


def _boosted(ranker: Ranker, boosts: Sequence[_Share], found: list[FoundDocument], *, most: int) -> list[FoundDocument]:
    """Returns documents in the order of their boosted scores, at least `most`; the deep ones keep theirs."""
    state, options = ranker.state, ranker.options
    hybrid = options.mode is Mode.HYBRID
    candidates = found if hybrid else found[: options.window]
    if not boosts or not candidates:
        return found
    scores = np.array([each.score for each in candidates])
    bonuses = title_bonuses(scores) if hybrid else np.zeros(len(scores))
    plain = scores - bonuses
    lowest, span = plain.min(), np.ptp(plain)
    slots = state.slots.slots_of([each.sequence for each in candidates])
    changes: dict[str, NDArray[np.float64]] = {}
    for rule_id, boost, share in boosts:
        values = boost_values(boost, state.columns, slots, seconds=options.seconds)
        changes[rule_id] = changes.get(rule_id, 0.0) + share * (lowest + span * values - plain)
    boosted = np.clip(plain + sum(changes.values()), lowest, lowest + span)
    boosted = np.where(bonuses > 0, np.maximum(boosted, LEAST_TITLED) + bonuses, boosted)
    # As answers have them, in 32 bits: equal ones are in the order of slots.
    narrow = boosted.astype(np.float32)
    order = np.lexsort((slots, -narrow)).tolist()
    ranking = [
        candidates[place]._replace(
            score=float(narrow[place]),
            rules=tuple(
                AppliedRule(rule_id, Effect.BOOSTED, float(change[place]))
                for rule_id, change in changes.items()
                if change[place]
            ),
        )
        for place in (order if options.min_score is not None else order[:most])
    ]
    if len(ranking) < len(candidates):
        return ranking
    return ranking + [each._replace(tier=DEEP) for each in found[len(candidates) :]]
