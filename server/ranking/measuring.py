"""Measures the baseline of scores on a corpus, and says when to do so again."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from server.lexical.statistics import TermStatistics
from server.ranking.baseline import Baseline
from server.ranking.corpus import LegsFound, LegsQuery
from server.ranking.probes import EncodedProbes

MEASURED_SHARE = 0.1
"""Changes since the last measurement, as a share of all documents, after which the baseline is measured again at the
latest."""

FindAll = Callable[[Sequence[LegsQuery]], Sequence[LegsFound]]
"""Answers several queries."""


def measured(probes: EncodedProbes, find: FindAll, statistics: TermStatistics, *, weight: float) -> Baseline:
    """Returns the baseline of a corpus. `weight` is the factor of the similarities of titles."""

    def dense_best(vectors: Sequence[NDArray[np.float32]]) -> list[float | None]:
        found = find([LegsQuery(1, vector) for vector in vectors])
        return [each.dense[0].score if each.dense else None for each in found]

    def lexical_best(queries: Sequence[str]) -> list[float | None]:
        found = find([LegsQuery(1, terms=statistics.query_terms(query)) for query in queries])
        return [each.lexical[0].score if each.lexical else None for each in found]

    return probes.measure(dense_best=dense_best, lexical_best=lexical_best, weight=weight)


def is_outdated(measured_sequence: int | None, sequence: int, *, documents: int) -> bool:
    """Returns whether a baseline that was measured at an earlier sequence must be measured again.

    That is so when the sequence passes a multiple of a power of two, so that all servers measure at nearly the same
    ones, whenever they started.
    """
    if measured_sequence is None:
        return True
    step = 1 << max(0, int(MEASURED_SHARE * documents).bit_length() - 1)
    return sequence // step != measured_sequence // step
