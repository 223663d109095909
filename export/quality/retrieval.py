"""Retrieval measures, from the ids that a search found, best first.

R@k is the share of queries with a relevant document among the first k hits, as in DPR (Karpukhin et al. 2020, top-k
accuracy). MRR is the mean of the reciprocal rank of the first relevant document.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

DEPTHS = (1, 5, 10, 20)


class Retrieval(msgspec.Struct, frozen=True, kw_only=True):
    """The retrieval measures of the original model and of the bundle on the same corpus.

    `top10_overlap` is the share of the original's first ten documents that are among the bundle's first ten. The
    recalls are R@k by k. `recall_whole` is that of the original's whole vectors, None if they are not shortened.
    """

    corpus: str
    documents: int
    queries: int
    top10_overlap: float
    recall_fp32: dict[int, float]
    recall: dict[int, float]
    recall_whole: dict[int, float] | None = None

    @property
    def recall_loss(self) -> float:
        """The largest loss of R@k over all k; negative if the bundle's are all higher."""
        return round(max(self.recall_fp32[depth] - self.recall[depth] for depth in self.recall), 5)


def first_relevant_rank(found: Sequence[str], relevant: Sequence[str]) -> int | None:
    """Returns the rank, from 1, of the first relevant id in `found`, or None."""
    return next((rank for rank, id in enumerate(found, start=1) if id in relevant), None)


def recall_at(ranks: Sequence[int | None], depth: int) -> float:
    """Returns the share of queries whose first relevant document has at most rank `depth`."""
    return sum(rank is not None and rank <= depth for rank in ranks) / len(ranks)


def mean_reciprocal_rank(ranks: Sequence[int | None]) -> float:
    """Returns the mean reciprocal rank; a query without a relevant document counts as 0."""
    return sum(1 / rank for rank in ranks if rank) / len(ranks)


def overlap_at(expected: Sequence[Sequence[str]], found: Sequence[Sequence[str]], depth: int) -> float:
    """Returns the mean share of the first `depth` expected ids that are among the first `depth` found ids."""
    shares = [
        len(set(wanted[:depth]) & set(got[:depth])) / len(wanted[:depth])
        for wanted, got in zip(expected, found, strict=True)
    ]
    return sum(shares) / len(shares)


def retrieval(
    corpus: str,
    *,
    documents: int,
    expected: Sequence[Sequence[str]],
    found: Sequence[Sequence[str]],
    found_by_whole: Sequence[Sequence[str]] | None = None,
    relevant: Sequence[Sequence[str]],
) -> Retrieval:
    """Compares the ids that the original (`expected`) and the bundle (`found`) find for each query, best first.

    `found_by_whole` has those that the original finds with whole vectors, if the others are shortened.
    """

    def recall(results: Sequence[Sequence[str]]) -> dict[int, float]:
        ranks = [first_relevant_rank(ids, wanted) for ids, wanted in zip(results, relevant, strict=True)]
        return {depth: round(recall_at(ranks, depth), 5) for depth in DEPTHS}

    return Retrieval(
        corpus=corpus,
        documents=documents,
        queries=len(found),
        top10_overlap=round(overlap_at(expected, found, 10), 5),
        recall_fp32=recall(expected),
        recall=recall(found),
        recall_whole=None if found_by_whole is None else recall(found_by_whole),
    )
