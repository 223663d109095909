"""Compares the answers of two sides to the same queries."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from server.ranking.options import Mode
from server.shadow.measures import MEASURES, measures_of
from server.shadow.recordings import Recording
from server.shadow.side import DEPTH, Answer
from server.significance import intervals, p_values

PERSISTENCE = 0.9
"""Weight of each depth in the rank-biased overlap, relative to the depth before it."""

SIGNIFICANT = 0.05
"""p-value below which a difference is significant."""


class Quantiles(msgspec.Struct, frozen=True):
    """The 10th, 50th and 90th percentile of some values."""

    p10: float
    p50: float
    p90: float


class Change(msgspec.Struct, frozen=True):
    """The change of the answer to a query; `overlap` and `rank_biased_overlap` as in `ModeChange`."""

    query: str
    times: int
    overlap: float
    rank_biased_overlap: float
    old: list[str]
    new: list[str]
    relevant: list[str]


class MeasureChange(msgspec.Struct, frozen=True):
    """A mean over the labelled queries on both sides, their difference, its 95 % interval, and the p-value.

    A single query has no interval.
    """

    measure: str
    old: float
    new: float
    difference: float
    interval: tuple[float, float] | None
    p: float


class ModeChange(msgspec.Struct, frozen=True, kw_only=True):
    """The changes in one mode.

    Attributes:
        mode: The mode.
        overlap: Mean share of the first `DEPTH` hits that both sides have.
        rank_biased_overlap: Mean of the overlaps at all depths up to `DEPTH`, of which the first ones weigh most
            (Webber et al. 2010, cut at `DEPTH`).
        identical: Share of queries with the same hits in the same order.
        first_changed: Share of queries with another first hit.
        flags_gained: Number of queries that have `no_good_answer` on the new side only.
        flags_lost: Number of queries that have it on the old side only.
        old_scores: Scores of the first hits of the old side; None if it found nothing at all.
        new_scores: Scores of the first hits of the new side.
        score_changes: Changes of the score of each document that both sides have found.
        measures: The measures on the labelled queries; empty if there are none.
        changes: All queries, the most different first.
    """

    mode: str
    overlap: float
    rank_biased_overlap: float
    identical: float
    first_changed: float
    flags_gained: int
    flags_lost: int
    old_scores: Quantiles | None
    new_scores: Quantiles | None
    score_changes: Quantiles | None
    measures: list[MeasureChange]
    changes: list[Change]

    @property
    def recall_loss(self) -> float:
        """The significant loss of R@1, 0 if there is none."""
        recall = self.measures[0]
        return max(0.0, -recall.difference) if recall.p < SIGNIFICANT else 0.0


class Pair(NamedTuple):
    """The answers of both sides to a query, and whether the measures count it."""

    recording: Recording
    old: Answer
    new: Answer
    measured: bool


def compare(mode: Mode, pairs: Sequence[Pair]) -> ModeChange:
    """Returns the changes of one or more answers in a mode."""
    changes = [_change(pair) for pair in pairs]
    shifts = []
    for pair in pairs:
        scores = dict(pair.new.hits)
        shifts += [scores[hit.id] - hit.score for hit in pair.old.hits if hit.id in scores]
    return ModeChange(
        mode=mode.value,
        overlap=_mean(each.overlap for each in changes),
        rank_biased_overlap=_mean(each.rank_biased_overlap for each in changes),
        identical=_mean(each.old == each.new for each in changes),
        first_changed=_mean(each.old[:1] != each.new[:1] for each in changes),
        flags_gained=sum(pair.new.no_good_answer > pair.old.no_good_answer for pair in pairs),
        flags_lost=sum(pair.new.no_good_answer < pair.old.no_good_answer for pair in pairs),
        old_scores=_quantiles([pair.old.hits[0].score for pair in pairs if pair.old.hits]),
        new_scores=_quantiles([pair.new.hits[0].score for pair in pairs if pair.new.hits]),
        score_changes=_quantiles(shifts),
        measures=_measures([pair for pair in pairs if pair.measured]),
        changes=sorted(changes, key=lambda each: each.rank_biased_overlap),
    )


def overlap(old: Sequence[str], new: Sequence[str]) -> float:
    """Returns the share of the longer list that both have; two empty lists are equal."""
    longest = max(len(old), len(new))
    return len(set(old) & set(new)) / longest if longest else 1.0


def rank_biased_overlap(old: Sequence[str], new: Sequence[str]) -> float:
    """Returns the mean of the overlaps at depths 1 to `DEPTH`; each weighs `PERSISTENCE` of the one before."""
    weights = PERSISTENCE ** np.arange(DEPTH)
    return float(np.average([overlap(old[:depth], new[:depth]) for depth in range(1, DEPTH + 1)], weights=weights))


def _change(pair: Pair) -> Change:
    recording, old, new = pair.recording, pair.old.ids, pair.new.ids
    similar = overlap(old, new), rank_biased_overlap(old, new)
    return Change(recording.text, recording.times, *similar, old, new, sorted(recording.relevant))


def _measures(pairs: Sequence[Pair]) -> list[MeasureChange]:
    if not pairs:
        return []
    old, new = (
        np.array([measures_of(answer.ids, pair.recording.relevant) for pair, answer in answers]).T
        for answers in ([(pair, pair.old) for pair in pairs], [(pair, pair.new) for pair in pairs])
    )
    differences = new - old
    bounds, p = intervals(differences).tolist(), p_values(differences).tolist()
    return [
        MeasureChange(
            measure,
            float(old[row].mean()),
            float(new[row].mean()),
            float(differences[row].mean()),
            tuple(bounds[row]) if len(pairs) > 1 else None,
            p[row],
        )
        for row, measure in enumerate(MEASURES)
    ]


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _quantiles(values: Sequence[float]) -> Quantiles | None:
    return Quantiles(*np.percentile(values, (10, 50, 90)).tolist()) if values else None
