"""Batches of pairs in which no text answers the query of another pair."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterator, Sequence

from export.tuning.pairs import Pair


class Batches:
    """Draws batches; each epoch draws other ones. An element is the position of a pair, and the epoch.

    Where the documents of a batch are negatives, it never has two pairs whose queries the same document answers, nor a
    hard negative that answers another query of the batch: they would be false negatives. Pairs for which an epoch has
    no such batch wait for another epoch, so a document with very many labels does not dominate.
    """

    def __init__(self, pairs: Sequence[Pair], *, size: int, apart: bool, seed: int) -> None:
        """Draws nothing yet.

        Args:
            pairs: The pairs.
            size: Pairs in a batch.
            apart: Whether pairs with the same document are kept apart; otherwise batches are just drawn.
            seed: With the epoch, it decides the batches.
        """
        self._pairs = pairs
        self._size = size
        self._apart = apart
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch whose batches are drawn, from 0."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Returns the number of batches in each epoch."""
        return math.ceil(len(self._pairs) / self._size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yields the batches of the epoch."""
        shuffle = random.Random(f"{self._seed} {self._epoch}")  # noqa: S311  a shuffle, not a secret
        waiting = deque(shuffle.sample(range(len(self._pairs)), len(self._pairs)))
        for _ in range(len(self)):
            batch: list[tuple[int, int]] = []
            refused: list[int] = []
            relevant: set[str] = set()
            rejected: set[str] = set()
            while waiting and len(batch) < self._size:
                place = waiting.popleft()
                pair = self._pairs[place]
                negatives = {each.group for each in pair.negatives}
                if self._apart and (relevant & (pair.relevant | negatives) or rejected & pair.relevant):
                    refused.append(place)
                    continue
                relevant |= pair.relevant
                rejected |= negatives
                batch.append((place, self._epoch))
            waiting.extendleft(reversed(refused))
            yield batch
