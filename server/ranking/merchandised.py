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
from server.ranking.burying import Buried, burying_of, parts_of
from server.ranking.corpus import Searched
from server.ranking.found import AppliedRule, Effect, FoundDocument
from server.ranking.legs import Ranker
from server.ranking.options import Mode, SearchOptions
from server.ranking.position import MAX_PINNED_HITS


class Merchandised(NamedTuple):
    """A ranking after rules, and whether probably none of its documents is a good answer.

    What a rule pins for a query is a good answer to it, but not what a rule pins for every query.
    """

    ranking: list[FoundDocument]
    no_good_answer: bool


def fitting_rules(state: Searched, options: SearchOptions) -> list[Rule]:
    """Returns the rules that apply to a search, in order."""
    if options.asked is None:
        return []
    query, language = options.asked
    return state.rules.merchandising.table.fitting(query, language=language, seconds=options.seconds)


def merchandised(ranker: Ranker, rules: Sequence[Rule]) -> Merchandised:
    """Ranks documents by rules, of which there is at least one."""
    options = ranker.options
    pins, buried = _moved(ranker, rules)
    boosts = boosts_of(rules)
    all_candidates = boosts or options.mode is Mode.HYBRID
    depth = ranker.depth_of_candidates if all_candidates else ranker.depth
    legs, last_legs = parts_of(ranker, buried, depth=depth)
    pinned = _pinned(ranker, pins, legs.found)
    most = options.wanted + len(pins)  # Some of them may be pinned.
    found = ranker.reaching(boosted(ranker.corpus, options, boosts, legs.found, most=most), most=most)
    ranking = pinned + [each for each in found if each.sequence not in pins]
    if buried is not None and len(ranking) < options.wanted:
        last = last_legs()
        hits = ranker.reaching(last.found, most=options.wanted)
        ranking += buried.marked(hits, ranker.corpus)
        legs, found = (legs, found) if found else (last, hits)
    answered = any(pin.for_query for pin in pins.values())
    no_good_answer = not answered and (not found or ranker.no_good_answer(legs))
    return Merchandised(ranker.completed(ranking[: options.wanted]), no_good_answer)


class _Pin(NamedTuple):
    """The place of a pinned document, the rule that pins it, and whether this rule is for some queries only."""

    place: int
    rule_id: str
    for_query: bool


def _moved(ranker: Ranker, rules: Sequence[Rule]) -> tuple[dict[int, _Pin], Buried | None]:
    """Returns the pins of the documents that may be found, in the order of their places, and the buried documents."""
    rule_of: dict[str, Rule] = {}
    for rule in rules:
        for id in rule.pinned_ids:
            rule_of.setdefault(id, rule)
    sequences = ranker.state.rules.merchandising.sequences
    # A place does not depend on which other documents may be found: between two pages, one may be deleted.
    pins = {
        sequences[id]: _Pin(place, rule.id, bool(rule.query))
        for place, (id, rule) in enumerate(islice(rule_of.items(), MAX_PINNED_HITS))
        if id in sequences
    }
    burying = burying_of(rules, sequences, pinned=tuple(pins))
    if not pins and not burying.burials:
        return {}, None
    moved = ranker.corpus.moved(list(pins), burying)
    found = {sequence: pin for sequence, pin in pins.items() if sequence in moved.pinned}
    return found, Buried(burying, rules) if moved.buries else None


def _pinned(ranker: Ranker, pins: dict[int, _Pin], found: Sequence[FoundDocument]) -> list[FoundDocument]:
    """Returns the pinned documents in order, with the scores that they have without rules."""
    known = {each.sequence: each for each in found if each.sequence in pins}
    missing = [sequence for sequence in pins if sequence not in known]
    known |= dict(zip(missing, ranker.scored(missing), strict=True)) if missing else {}
    return [
        known[sequence]._replace(tier=pin.place, rules=(AppliedRule(pin.rule_id, Effect.PINNED),))
        for sequence, pin in pins.items()
    ]
