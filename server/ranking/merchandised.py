"""Rearranges a ranking as the rules of its query say.

Pinned documents come first if the filter allows them, whether the query finds them or not and whatever their scores.
Buried documents come last. Boosts change the scores of the others. Pinning and burying change no scores.

If rules contradict each other, pinning wins over burying, burying over boosting, and the rule with the lower id over
the others.
"""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from server.merchandising.rule import Rule
from server.ranking.boosting import boosted, boosts_of
from server.ranking.burying import buried_by, parts_of
from server.ranking.found import AppliedRule, Effect, FoundDocument
from server.ranking.legs import Allowed, Ranker
from server.ranking.options import Mode, SearchOptions
from server.ranking.position import MAX_PINNED_HITS
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
    buried = buried_by(state, rules, pinned=list(pins))
    boosts = boosts_of(rules)
    all_candidates = boosts or options.mode is Mode.HYBRID
    depth = ranker.depth_of_candidates if all_candidates else ranker.depth
    legs, last_legs = parts_of(ranker, buried, allowed, depth=depth)
    pinned = _pinned(ranker, pins, legs.found)
    shown = {each.sequence for each in pinned}
    most = options.wanted + len(pins)  # Some of them may be pinned.
    found = ranker.reaching(boosted(state, options, boosts, legs.found, most=most), most=most)
    ranking = pinned + [each for each in found if each.sequence not in shown]
    if buried is not None and len(ranking) < options.wanted:
        last = last_legs()
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
    rule_of: dict[str, Rule] = {}
    for rule in rules:
        for id in rule.pinned_ids:
            rule_of.setdefault(id, rule)
    sequences = state.rules.merchandising.sequences
    pins: dict[int, _Pin] = {}
    # A place does not depend on which other documents may be found: between two pages, one may be deleted.
    for place, (id, rule) in enumerate(islice(rule_of.items(), MAX_PINNED_HITS)):
        for slot in state.slots.slots_of([sequences.get(id, 0)]).tolist():
            if state.slots.live[slot] and (allowed is None or allowed[slot]):
                pins[slot] = _Pin(place, rule.id, bool(rule.query))
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
