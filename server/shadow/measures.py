"""Measures of one list of hits whose right documents are known. The mean over queries is that of the evaluation.

The exporter's evaluation has more measures, by ir_measures, which the server does not depend on.
"""

import math
from collections.abc import Collection, Sequence

from server.shadow.side import DEPTH

MEASURES = ("R@1", f"MRR@{DEPTH}", f"nDCG@{DEPTH}")


def measures_of(found: Sequence[str], relevant: Collection[str]) -> tuple[float, float, float]:
    """Returns R@1, the reciprocal rank and nDCG of the first `DEPTH` documents, in the order of `MEASURES`."""
    ranks = [rank for rank, id in enumerate(found[:DEPTH], start=1) if id in relevant]
    if not ranks:
        return 0.0, 0.0, 0.0
    best = sum(_gain(rank) for rank in range(1, min(DEPTH, len(relevant)) + 1))
    return float(ranks[0] == 1), 1 / ranks[0], sum(map(_gain, ranks)) / best


def _gain(rank: int) -> float:
    return 1 / math.log2(rank + 1)
