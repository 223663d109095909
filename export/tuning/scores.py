"""The scores of a training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trained:
    """The scores on the development part: before the training, and of the weights that were kept."""

    before: float
    after: float
