"""Fuses the results of the dense leg and the lexical leg into one list, with matching titles first.

Reciprocal rank uses ranks only and weighs both legs equally, so it is worse than the better of two unequal legs.
The weighted sum weighs the legs for each query, by how far the scores of each exceed those of unrelated queries
(`server.ranking.baseline`).

With either fusion, documents whose title equals the query come first, then those whose title begins with it.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from server.ranking.baseline import Evidence
from server.ranking.corpus import Candidate
from server.ranking.options import Fusion

RANK_DAMPING = 60
"""Added to each rank: the usual k of reciprocal rank fusion, with which neighbouring ranks differ little."""

LEXICAL_DISCOUNT = 0.15
"""Weight of a standard deviation of lexical evidence against one of dense evidence. Chosen on training questions."""

LEXICAL_NOISE_DEVIATIONS = 1.0
"""Standard deviations of lexical evidence that are ignored: many unrelated queries have as much by chance."""

LEAST_WEIGHT = 0.02
"""Least weight of a leg, so that it breaks ties of the other leg and adds documents that the other does not find."""

EXACT_TITLE, TITLE_PREFIX = 2.0, 1.0
"""Added to the score of documents whose title matches; other scores are from 0 to 1."""

LEAST_TITLED = 2.0**-22
"""Least score, before the addition, of documents whose title matches: without it, the worst of them could be equal to
the best of the others. It is the distance of the next number after 2 in 32 bits."""


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
    """Returns the `limit` best documents of two lists, best first; among equal scores, the lower sequence first.

    Scores are from 0 to 1; 1 is added if the title begins with the query, 2 if it equals the query. They are rounded to
    32 bits before they are compared, because answers have them in 32 bits. `exact_titles` and `title_prefixes` are
    sequences. Only the weighted sum uses `evidence`.
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
        for sequence, score in part.items():
            scores[sequence] = min(1.0, scores.get(sequence, 0.0) + score)  # The sum of both legs may be rounded up.
    for sequence, bonus in titles.items():
        scores[sequence] = max(scores[sequence], LEAST_TITLED) + bonus
    found = map(Candidate, scores, np.array(list(scores.values()), dtype=np.float32).tolist())
    return sorted(found, key=lambda each: (-each.score, each.sequence))[:limit]


def title_bonuses(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns what matching titles have added to fused scores."""
    bonuses: NDArray[np.float64] = np.maximum(np.ceil(scores) - 1, 0.0)
    return bonuses


def estimate_dense_weight(evidence: Evidence) -> float:
    """Returns the weight of the dense leg, from 0 to 1; the lexical leg has the rest.

    The dense leg has the least weight if the model does not read the query's language. Otherwise the leg whose best
    score exceeds those of unrelated queries more has the larger weight.
    """
    lexical = LEXICAL_DISCOUNT * max(0.0, evidence.lexical - LEXICAL_NOISE_DEVIATIONS)
    share = evidence.dense / (evidence.dense + lexical) if evidence.dense + lexical else 0.5
    return min(1 - LEAST_WEIGHT, max(LEAST_WEIGHT, evidence.reading * share))


def _by_rank(candidates: Sequence[Candidate]) -> dict[int, float]:
    """Returns a score for each candidate's rank, at most 0.5: a document that is first in both legs gets 1."""
    best = 1 + RANK_DAMPING
    return {each.sequence: best / (rank + RANK_DAMPING) / 2 for rank, each in enumerate(candidates, start=1)}


def _scaled(candidates: Sequence[Candidate], lowest: float, weight: float) -> dict[int, float]:
    """Returns the scores of a leg, scaled from `lowest` to the best score, to the range from 0 to `weight`."""
    span = candidates[0].score - lowest if candidates else 0.0
    return {each.sequence: weight * ((each.score - lowest) / span if span > 0 else 1.0) for each in candidates}
