"""Which document stands in which slot, and which of them are there still.

A slot is a place in the live index; followers speak of documents by their slots. Slots ascend with the sequences of
their documents. A document that is replaced or deleted leaves its slot dead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class RosterView(NamedTuple):
    """The slots at one moment. Immutable.

    Attributes:
        sequences: For each slot the sequence of its document, ascending.
        live: For each slot whether its document is there.
        live_count: Number of documents that are there.
    """

    sequences: NDArray[np.int64]
    live: NDArray[np.bool_]
    live_count: int

    @property
    def dead_count(self) -> int:
        """Number of slots whose documents are gone."""
        return len(self.sequences) - self.live_count

    def slots_of(self, sequences: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the slots of some documents; those that have none are left out."""
        wanted = np.asarray(sequences, dtype=np.int64)
        slots = np.searchsorted(self.sequences, wanted)
        slots[slots == len(self.sequences)] = 0
        return slots[self.sequences[slots] == wanted] if len(self.sequences) else slots[:0]


class Roster:
    """The slots. One thread changes them."""

    def __init__(self, sequences: NDArray[np.int64] | None = None, live: NDArray[np.bool_] | None = None) -> None:
        """Takes the slots that there are at first."""
        given = np.empty(0, dtype=np.int64) if sequences is None else sequences
        self._buffer = np.array(given, dtype=np.int64)
        self._live = np.ones(len(given), dtype=np.bool_) if live is None else live
        self._count = len(given)

    def __len__(self) -> int:
        return self._count

    def change(self, added: Sequence[int], retired: Sequence[int]) -> None:
        """Gives documents the next slots, and marks those of others as dead, which may be among the new ones."""
        count = self._count + len(added)
        if count > len(self._buffer):
            grown = np.empty(max(1024, count, 2 * len(self._buffer)), dtype=np.int64)
            grown[: self._count] = self._buffer[: self._count]
            self._buffer = grown
        self._buffer[self._count : count] = added
        self._count = count
        # Views hold the array as it was.
        self._live = np.concatenate((self._live, np.ones(len(added), dtype=np.bool_)))
        slots = RosterView(self._buffer[:count], self._live, 0).slots_of(retired)
        self._live[slots] = False

    def view(self) -> RosterView:
        """Returns the slots as they are now."""
        return RosterView(self._buffer[: self._count], self._live, int(np.count_nonzero(self._live)))
