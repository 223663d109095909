"""The retrieval measures of the gate, from the ids that a search found, best first."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from export.evaluation.judged import JudgedQuery
from export.evaluation.measures import NAMES, measured

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
    queries = [JudgedQuery(text="", language="", grades=dict.fromkeys(ids, 1)) for ids in relevant]

    def recall(results: Sequence[Sequence[str]]) -> dict[int, float]:
        means = dict(zip(NAMES, measured(queries, results).mean(axis=1).tolist(), strict=True))
        return {depth: round(means[f"R@{depth}"], 5) for depth in DEPTHS}

    return Retrieval(
        corpus=corpus,
        documents=documents,
        queries=len(found),
        top10_overlap=round(overlap_at(expected, found, 10), 5),
        recall_fp32=recall(expected),
        recall=recall(found),
        recall_whole=None if found_by_whole is None else recall(found_by_whole),
    )
