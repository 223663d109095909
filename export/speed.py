"""Measures the encoding speed of candidates, with one thread each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

from export.candidate import Candidate, Text

REPEATS = 5


def texts_per_second(candidates: Mapping[str, Candidate], texts: Sequence[Text]) -> dict[str, float]:
    """Returns the median rate of each candidate. They run alternately, so that a busy machine slows all of them."""
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(REPEATS):
        for name, candidate in candidates.items():
            started = time.perf_counter()
            candidate.encode(texts)
            rates[name].append(len(texts) / (time.perf_counter() - started))
    return {name: round(statistics.median(each), 1) for name, each in rates.items()}
