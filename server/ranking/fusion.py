"""One list out of two: the dense leg's and the lexical leg's, and titles by what is typed of them.

Reciprocal rank looks at places only and gives both legs equal votes, so it is worse than the better leg wherever one is
much better. The weighted sum weighs the legs, query by query, by how far the scores of each stand out from those of
unrelated queries (`server.ranking.baseline`).

Whatever the fusion, a document whose title is the query comes first, and then those whose title begins with it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from server.ranking.baseline import Evidence
from server.ranking.options import Fusion

CANDIDATES = 100
"""Documents that each leg should give, however few are asked for: who is in one list has nothing of the other."""

RANK_DAMPING = 60
"""Added to each rank: the usual value, by which the first is worth little more than the second."""

LEXICAL_DISCOUNT = 0.15
"""What a standard deviation of lexical evidence weighs against one of dense evidence. Chosen on training questions."""

LEXICAL_NOISE_DEVIATIONS = 1.0
"""Standard deviations of lexical evidence that count for nothing: many unrelated queries have as much by chance."""

LEAST_WEIGHT = 0.02
"""Of either leg: it puts in order what the other leaves equal, and fills up what the other leaves empty."""

EXACT_TITLE, TITLE_PREFIX = 2.0, 1.0
"""Added to the score of documents that are found by their title; all other scores are from 0 to 1."""


class Candidate(NamedTuple):
    """A document of a list: its slot, and its score there."""

    slot: int
    score: float


def fuse(
    dense: Sequence[Candidate],
    lexical: Sequence[Candidate],
    *,
    fusion: Fusion,
    evidence: Evidence,
    limit: int,
    exact_titles: Iterable[int] = (),
    title_prefixes: Iterable[int] = (),
) -> list[Candidate]:
    """Returns the `limit` best documents of two lists, best first; where scores are equal, the lower slot first.

    Scores are from 0 to 1; above 1 for a title that begins with the query, above 2 for one that is it. Titles are
    given by the slots of their documents. Only the weighted sum asks for the evidence.
    """
    titles = {**dict.fromkeys(title_prefixes, TITLE_PREFIX), **dict.fromkeys(exact_titles, EXACT_TITLE)}
    if fusion is Fusion.RECIPROCAL_RANK:
        parts = [_by_rank(dense), _by_rank(lexical)]
    else:
        weight = estimate_dense_weight(evidence) if lexical else 1.0
        lowest = dense[-1].score if dense else 0.0
        parts = [_scaled(dense, lowest, weight), _scaled(lexical, 0.0, 1 - weight)]
    scores = dict.fromkeys(titles, 0.0)
    for part in parts:
        for slot, score in part.items():
            scores[slot] = min(1.0, scores.get(slot, 0.0) + score)  # two halves may be rounded up
    found = [Candidate(slot, score + titles.get(slot, 0.0)) for slot, score in scores.items()]
    return sorted(found, key=lambda each: (-titles.get(each.slot, 0.0), -each.score, each.slot))[:limit]


def estimate_dense_weight(evidence: Evidence) -> float:
    """Returns what the dense leg weighs, from 0 to 1; the lexical leg weighs the rest.

    A model that does not read the query's language weighs next to nothing; otherwise the leg weighs more that stands
    out more from what unrelated queries score.
    """
    lexical = LEXICAL_DISCOUNT * max(0.0, evidence.lexical - LEXICAL_NOISE_DEVIATIONS)
    share = evidence.dense / (evidence.dense + lexical) if evidence.dense + lexical else 0.5
    return min(1 - LEAST_WEIGHT, max(LEAST_WEIGHT, evidence.reading * share))


def _by_rank(candidates: Sequence[Candidate]) -> dict[int, float]:
    """Returns half of a rank's worth for each: a document that is first in both legs has 1."""
    best = 1 + RANK_DAMPING
    return {each.slot: best / (rank + RANK_DAMPING) / 2 for rank, each in enumerate(candidates, start=1)}


def _scaled(candidates: Sequence[Candidate], lowest: float, weight: float) -> dict[int, float]:
    """Returns the scores of a leg from 0 for the lowest to `weight` for the best."""
    span = candidates[0].score - lowest if candidates else 0.0
    return {each.slot: weight * ((each.score - lowest) / span if span > 0 else 1.0) for each in candidates}
