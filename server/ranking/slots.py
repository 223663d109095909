"""The documents of the slots, and which of them are live.

A slot is a position in the live index, whose parts identify documents by slot. Slots ascend with the sequences of their
documents. The slot of a replaced or deleted document is dead.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.growing import Growing


class DocumentSlotsView(NamedTuple):
    """The slots at one moment. Immutable. `sequences` ascend; `live` says whether a slot's document is live."""

    sequences: NDArray[np.int64]
    live: NDArray[np.bool_]
    live_count: int

    @property
    def dead_count(self) -> int:
        """Number of dead slots."""
        return len(self.sequences) - self.live_count

    def slots_of(self, sequences: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the slots of the documents with these sequences; skips sequences without a slot."""
        wanted = np.asarray(sequences, dtype=np.int64)
        slots = np.searchsorted(self.sequences, wanted)
        slots[slots == len(self.sequences)] = 0
        return slots[self.sequences[slots] == wanted] if len(self.sequences) else slots[:0]


class DocumentSlots:
    """The slots. One thread changes them."""

    def __init__(self, sequences: NDArray[np.int64] | None = None, live: NDArray[np.bool_] | None = None) -> None:
        """Starts with the given slots, or with none."""
        self._sequences = Growing(np.empty(0, dtype=np.int64) if sequences is None else sequences)
        self._live = np.ones(len(self), dtype=np.bool_) if live is None else live

    def __len__(self) -> int:
        return len(self._sequences.view())

    def change(self, added: Sequence[int], retired: Sequence[int]) -> NDArray[np.int64]:
        """Gives the added documents the next slots, then marks the slots of the retired ones as dead; returns these."""
        self._sequences.extend(added)
        # Copied, since views keep the old array.
        self._live = np.concatenate((self._live, np.ones(len(added), dtype=np.bool_)))
        slots = self.view().slots_of(retired)
        died = slots[self._live[slots]]
        self._live[died] = False
        return died

    def view(self) -> DocumentSlotsView:
        """Returns the present slots."""
        return DocumentSlotsView(self._sequences.view(), self._live, int(np.count_nonzero(self._live)))
