"""The documents of the slots, and which of them are still there.

A slot is a place in the live index; its parts know documents by their slots. Slots ascend with the sequences of their
documents. A document that is replaced or deleted leaves its slot dead.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.growing import Growing


class DocumentSlotsView(NamedTuple):
    """The slots at one moment. Immutable.

    Attributes:
        sequences: For each slot the sequence of its document, ascending.
        live: For each slot whether its document is there.
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


class DocumentSlots:
    """The slots. One thread changes them."""

    def __init__(self, sequences: NDArray[np.int64] | None = None, live: NDArray[np.bool_] | None = None) -> None:
        """Takes the slots that there are at first."""
        self._sequences = Growing(np.empty(0, dtype=np.int64) if sequences is None else sequences)
        self._live = np.ones(len(self), dtype=np.bool_) if live is None else live

    def __len__(self) -> int:
        return len(self._sequences.view())

    def change(self, added: Sequence[int], retired: Sequence[int]) -> None:
        """Gives documents the next slots, and marks those of others as dead, which may be among the new ones."""
        self._sequences.extend(added)
        # Views hold the array as it was.
        self._live = np.concatenate((self._live, np.ones(len(added), dtype=np.bool_)))
        self._live[self.view().slots_of(retired)] = False

    def view(self) -> DocumentSlotsView:
        """Returns the slots as they are now."""
        return DocumentSlotsView(self._sequences.view(), self._live, int(np.count_nonzero(self._live)))
