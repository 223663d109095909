"""Measures how far two people agree who have labelled the same rows."""

from __future__ import annotations

from typing import NamedTuple

from export.bootstrap.sheets.reading import Pair, Sheet


class Agreement(NamedTuple):
    """The agreement of two sheets on the pairs that both have labelled.

    Attributes:
        pairs: Number of these pairs.
        share: The share on which they agree; 0 if there are none.
        kappa: Cohen's kappa (1960): the agreement beyond chance, at most 1; None if both gave only one label, or none.
        different: The pairs on which they disagree.
    """

    pairs: int
    share: float
    kappa: float | None
    different: list[Pair]


def agreement(one: Sheet, other: Sheet) -> Agreement:
    """Returns how far two sheets agree."""
    both = [
        (pair, label.answers, other.labels[pair].answers)
        for pair, label in one.labels.items()
        if label.answers is not None and pair in other.labels and other.labels[pair].answers is not None
    ]
    if not both:
        return Agreement(0, 0.0, None, [])
    different = [pair for pair, first, second in both if first is not second]
    share = 1 - len(different) / len(both)
    yes = [sum(bool(row[side]) for row in both) / len(both) for side in (1, 2)]
    chance = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    return Agreement(len(both), share, None if chance == 1 else (share - chance) / (1 - chance), different)
