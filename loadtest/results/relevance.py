"""The quality of a ranking by relevance labels.

Sources: recall@k as in BEIR; nDCG by Järvelin and Kekäläinen (2002) with the gain `2^label - 1`.
"""

import math
from collections.abc import Mapping, Sequence


def recall(documents: Sequence[str], labels: Mapping[str, int], *, k: int) -> float:
    """Returns the share of relevant documents among the first k; NaN if none is relevant."""
    relevant = {document for document, label in labels.items() if label > 0}
    if not relevant:
        return math.nan
    return len(relevant.intersection(documents[:k])) / len(relevant)


def ndcg(documents: Sequence[str], labels: Mapping[str, int], *, k: int) -> float:
    """Returns the normalised discounted cumulative gain of the first k documents; NaN if none is relevant."""
    ideal = sorted((label for label in labels.values() if label > 0), reverse=True)
    if not ideal:
        return math.nan
    gains = [max(0, labels.get(document, 0)) for document in documents[:k]]
    return _discounted(gains) / _discounted(ideal[:k])


def _discounted(gains: Sequence[int]) -> float:
    return sum((2.0**gain - 1) / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
