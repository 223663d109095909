"""Measures of a run, query by query, computed by ir_measures.

R@k is 1 if a relevant document is among the first k, else 0: its mean is the share of such queries, as in DPR
(Karpukhin et al. 2020, top-k accuracy). MRR@10 is the reciprocal of the rank of the first relevant document, 0 below
rank 10. nDCG@10 takes the grades of all relevant documents into account.
"""

from __future__ import annotations

from collections.abc import Sequence

import ir_measures
import numpy as np
from ir_measures import RR, Success, nDCG
from numpy.typing import NDArray

from export.evaluation.judged import JudgedQuery

MEASURES = {
    "R@1": Success @ 1,
    "R@5": Success @ 5,
    "R@10": Success @ 10,
    "R@20": Success @ 20,
    "MRR@10": RR @ 10,
    "nDCG@10": nDCG @ 10,
}
"""The measures by the name that tables have for them."""

NAMES = tuple(MEASURES)


def measured(
    queries: Sequence[JudgedQuery], found: Sequence[Sequence[str]], names: Sequence[str] = NAMES
) -> NDArray[np.float64]:
    """Returns the values `[measures, queries]` of what was found for each query, the best first, in the order of names.

    Each measure takes as long as the others.
    """
    judgements = {str(row): dict(query.grades) for row, query in enumerate(queries)}
    run = {
        str(row): {id: float(-rank) for rank, id in enumerate(ids)}
        for row, (_, ids) in enumerate(zip(queries, found, strict=True))
    }
    values = np.zeros((len(names), len(queries)))
    row_of = {MEASURES[name]: row for row, name in enumerate(names)}
    for each in ir_measures.iter_calc(list(row_of), judgements, run):
        values[row_of[each.measure], int(each.query_id)] = each.value
    return values


def first_relevant(query: JudgedQuery, found: Sequence[str]) -> int | None:
    """Returns the rank, from 1, of the first relevant document; None if none was found."""
    return next((rank for rank, id in enumerate(found, start=1) if id in query.grades), None)
