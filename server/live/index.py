"""The live index: follows the store, change by change, and gives searches the state of the moment.

It holds no truth of its own: whatever it holds can be built again from the store.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from server.attributes.columns import Columns
from server.catalogue.document import Field, parts_of
from server.catalogue.encoded import Versioned
from server.errors import SnapshotError
from server.lexical.index import LexicalIndex
from server.lexical.titles import Titles
from server.ranking.baseline import Baseline, Probes
from server.ranking.slots import DocumentSlots
from server.ranking.state import State
from server.snapshot import Arrays, Snapshot
from server.vectors.dense import DenseIndex

MEASURED_SHARE = 0.1
"""Change in the number of slots from which on what scores are worth is measured again."""

FIELDS = tuple(Field)
"""A vector's field is known to the dense index by its place here, and so is its weight."""


class LiveIndex:
    """One thread changes it; any thread may take its `state`.

    Attributes:
        revision: Of the model that made the vectors.
        state: What is searched.
    """

    state: State

    def __init__(
        self, revision: str, dense: DenseIndex, *, probes: Probes, weights: tuple[float, ...] = (1.0,)
    ) -> None:
        """Makes an empty index; the probes measure its scores, the weights are those of `FIELDS`."""
        self.revision = revision
        self._probes = probes
        self._weights = weights
        self.dense = dense
        self.lexical = LexicalIndex()
        self.titles = Titles()
        self.columns = Columns()
        self._slots = DocumentSlots()
        self._baseline = Baseline({})
        self._measured_slots = -1
        self._publish(0)

    def restore(self, snapshot: Snapshot, *, live_sequences: NDArray[np.int64]) -> None:
        """Takes over a snapshot of another index of the same facts, but for documents that are gone.

        Raises:
            SnapshotError: The graph cannot be opened, or the parts disagree.
        """
        parts = snapshot.parts
        self.dense.restore(parts["dense"], snapshot.files)
        self.lexical = LexicalIndex.restored(parts["lexical"])
        self.titles = Titles.restored(parts["titles"])
        self.columns = Columns.restored(parts["columns"])
        sequences = parts["slots"]["sequences"]
        self._slots = DocumentSlots(sequences, np.isin(sequences, live_sequences, assume_unique=True))
        if not len(self._slots) == len(self.lexical) == len(self.titles) == self.columns.view().slot_count:
            raise SnapshotError("the parts of a snapshot have different numbers of documents")
        self._publish(int(parts["slots"]["sequence"]))

    def follow(self, added: Sequence[Versioned], retired: Sequence[int], *, sequence: int) -> None:
        """Takes in new versions of documents, in the order of their sequences, and retires others.

        The new state is there when this returns, and shows all of it or, before, nothing.
        """
        if added or retired:
            self._slots.change([each.sequence for each in added], retired)
            self._append(added)
        self._publish(sequence)

    def refresh(self) -> None:
        """Publishes what parts of the index have improved by themselves, such as a new graph."""
        self._publish(self.state.sequence)

    @property
    def unmeasured(self) -> bool:
        """Whether it has changed so much that what its scores are worth is to be measured again."""
        slots = len(self._slots)
        return abs(slots - self._measured_slots) > MEASURED_SHARE * max(self._measured_slots, 0)

    def measure(self) -> None:
        """Measures what scores are worth, for the states to come. Any one thread may, while another changes it."""
        state = self.state
        dense = dataclasses.replace(state.dense, observe=None)  # The probes are nobody's queries.

        def dense_best(vector: NDArray[np.float32]) -> float | None:
            matches = dense.search(vector, limit=1, allowed=state.allowed(None), weights=self._weights)
            return matches[0].score if matches else None

        def lexical_best(query: str) -> float | None:
            scores = state.lexical.search(query, limit=1, allowed=state.allowed(None)).scores.tolist()
            return scores[0] if scores else None

        self._baseline = self._probes.measure(dense_best=dense_best, lexical_best=lexical_best, weight=self._weights[0])
        self._measured_slots = len(state.slots.sequences)

    def close(self) -> None:
        """Ends what runs in the background, and removes its files. Searches that have a state still work."""
        self.dense.close()

    def adopt(self, other: Self) -> Self:
        """Takes over the parts of another index; returns the other, which has the old ones to close."""
        # It was raised for queries such as these.
        other.dense.ef_search = max(self.dense.ef_search, other.dense.ef_search)
        self.dense, other.dense = other.dense, self.dense
        self.lexical, self.titles = other.lexical, other.titles
        self.columns, self._slots = other.columns, other._slots
        self._publish(other.state.sequence)
        return other

    def _append(self, added: Sequence[Versioned]) -> None:
        if not added:
            return
        first = len(self._slots) - len(added)
        owners, ordinals, fields, matrices, texts = [], [], [], [], []
        for slot, each in enumerate(added, start=first):
            assert each.vectors is not None, "it is encoded"
            count = len(each.vectors.spans)
            parts = parts_of(each.document)
            owners.append(np.full(count, slot, dtype=np.int32))
            ordinals.append(np.arange(count, dtype=np.int32))
            fields.append(
                np.array([FIELDS.index(parts[part].field) for part in each.vectors.spans[:, 0]], dtype=np.uint8)
            )
            matrices.append(each.vectors.matrix)
            texts.append([part.text for part in parts])
        self.dense.append(
            np.concatenate(owners), np.concatenate(ordinals), np.concatenate(fields), np.concatenate(matrices)
        )
        self.lexical.append(texts)
        self.titles.append([list(each.document.titles().values()) for each in added])
        self.columns.append([each.document.attributes for each in added])

    def _publish(self, sequence: int) -> None:
        self.state = State(
            sequence,
            self._weights,
            self._baseline,
            self._slots.view(),
            self.dense.view(),
            self.lexical.view(),
            self.titles.view(),
            self.columns.view(),
        )


def snapshot_parts(state: State) -> Mapping[str, Arrays]:
    """Returns what a snapshot has of a state, besides the files of its vectors."""
    return {
        "slots": {"sequence": np.array(state.sequence), "sequences": state.slots.sequences},
        "dense": state.dense.arrays,
        "lexical": state.lexical.arrays,
        "titles": state.titles.arrays,
        "columns": state.columns.arrays,
    }
