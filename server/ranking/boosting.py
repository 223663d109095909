"""Boosts the candidates of a ranking by their attributes.

A boost with the share s replaces the share s of a score, between the lowest and the highest of the candidates, by the
document's value (`server.merchandising.boosts`). So boosted scores stay within the range of the others. In HYBRID mode
the part of a score that a matching title adds is not changed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.merchandising.rule import MAX_SHARE, Boost, Rule
from server.ranking.corpus import Corpus
from server.ranking.found import AppliedRule, Effect, FoundDocument
from server.ranking.fusion import LEAST_TITLED, title_bonuses
from server.ranking.options import Mode, SearchOptions
from server.ranking.position import DEEP


class Share(NamedTuple):
    """A boost, the rule that it comes from, and its share of the score."""

    rule_id: str
    boost: Boost
    share: float


def boosts_of(rules: Sequence[Rule]) -> list[Share]:
    """Returns the boosts of rules. Their shares are lowered if they are more than MAX_SHARE together."""
    boosts = [(rule.id, boost) for rule in rules for boost in rule.boosts]
    together = sum(boost.share for _, boost in boosts)
    factor = min(1.0, MAX_SHARE / together) if together else 0.0
    return [Share(rule_id, boost, boost.share * factor) for rule_id, boost in boosts]


def boosted(
    corpus: Corpus, options: SearchOptions, boosts: Sequence[Share], found: list[FoundDocument], *, most: int
) -> list[FoundDocument]:
    """Returns documents in the order of their boosted scores, at least `most`; the deep ones keep theirs."""
    hybrid = options.mode is Mode.HYBRID
    candidates = found if hybrid else found[: options.window]
    if not boosts or not candidates:
        return found
    scores = np.array([each.score for each in candidates])
    bonuses = title_bonuses(scores) if hybrid else np.zeros(len(scores))
    plain = scores - bonuses
    lowest, span = plain.min(), np.ptp(plain)
    sequences = [each.sequence for each in candidates]
    matrix = corpus.boost_values([each.boost for each in boosts], sequences, seconds=options.seconds)
    changes: dict[str, NDArray[np.float64]] = {}
    for (rule_id, _, share), values in zip(boosts, matrix, strict=True):
        if not values.any():
            continue  # It would lower all scores, and `min_score` would leave out hits.
        changes[rule_id] = changes.get(rule_id, 0.0) + share * (lowest + span * values - plain)
    scores = np.clip(plain + sum(changes.values()), lowest, lowest + span)
    scores = np.where(bonuses > 0, np.maximum(scores, LEAST_TITLED) + bonuses, scores)
    # As answers have them, in 32 bits: equal ones are in the order of sequences.
    narrow = scores.astype(np.float32)
    order = np.lexsort((np.array(sequences), -narrow)).tolist()
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
