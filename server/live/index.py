"""The live index: applies the store's changes in order, and provides the current state to searches.

It can be rebuilt from the store at any time.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from server.attributes.columns import Columns
from server.catalogue.document import Document, Field, parts_of
from server.catalogue.encoded import Versioned
from server.encoding.manifest import Manifest
from server.errors import SnapshotError
from server.lexical.index import LexicalIndex
from server.lexical.titles import Titles
from server.live.completions import SynonymCompletions, completions_of
from server.ranking.baseline import Baseline
from server.ranking.measuring import is_outdated, measured
from server.ranking.probes import EncodedProbes
from server.ranking.query_rules import NO_RULES, QueryRules
from server.ranking.slots import DocumentSlots
from server.ranking.state import State
from server.snapshot import Arrays, Snapshot
from server.suggest.completion import Completion
from server.suggest.index import SuggestIndex
from server.vectors.dense import DenseIndex

FIELDS = tuple(Field)
"""The dense index identifies fields, and their weights, by their position in this tuple."""


def field_weights(manifest: Manifest, chosen: Mapping[Field, float] = MappingProxyType({})) -> tuple[float, ...]:
    """Returns the weights in the order of `FIELDS`: `chosen` ones, and the bundle's for the other fields."""
    return tuple(chosen.get(field, getattr(manifest.weights, field.value)) for field in FIELDS)


class LiveIndex:
    """The live index of one model's vectors (`revision`). One thread changes it; any thread may read `state`."""

    state: State

    def __init__(
        self, revision: str, dense: DenseIndex, *, probes: EncodedProbes, weights: tuple[float, ...] = (1.0,)
    ) -> None:
        """Makes an empty index. `probes` measure the baseline of its scores; `weights` are in the order of `FIELDS`."""
        self.revision = revision
        self._probes = probes
        self._weights = weights
        self.dense = dense
        self.lexical = LexicalIndex()
        self.titles = Titles()
        self.columns = Columns()
        self.suggestions = SuggestIndex()
        self._synonyms = SynonymCompletions()
        self._demands: Mapping[str, float] = {}
        self._slots = DocumentSlots()
        self._ids: list[str] = []  # A state's own ids do not change.
        self._slot_of: dict[str, int] | None = None  # The slot of each live id; made when it is needed.
        self._rules = NO_RULES
        self._baseline = Baseline({})
        self._measured_sequence: int | None = None
        self._live_vectors = 0
        self._publish(0)

    def restore(self, snapshot: Snapshot, *, live_sequences: NDArray[np.int64]) -> None:
        """Loads a snapshot with the same facts; documents outside `live_sequences` are dead. Raises SnapshotError.

        A snapshot has no ids and no completions: `complete` adds them.
        """
        parts = snapshot.parts
        self.dense.restore(parts["dense"], snapshot.files)
        self.lexical = LexicalIndex.restored(parts["lexical"])
        self.titles = Titles.restored(parts["titles"])
        self.columns = Columns.restored(parts["columns"])
        sequences = parts["slots"]["sequences"]
        self._slots = DocumentSlots(sequences, np.isin(sequences, live_sequences, assume_unique=True))
        self._ids = [""] * len(sequences)
        if not len(self._slots) == len(self.lexical) == len(self.titles) == self.columns.view().slot_count:
            raise SnapshotError("the parts of a snapshot have different numbers of documents")
        self._live_vectors = int(np.count_nonzero(self._slots.view().live[parts["dense"]["owners"]]))
        self._publish(int(parts["slots"]["sequence"]))

    def complete(self, documents: Iterable[tuple[int, Document]]) -> None:
        """Adds the ids and completions of restored documents, each given with its sequence, and skips all others."""
        slots = {sequence: slot for slot, sequence in enumerate(self._slots.view().sequences.tolist())}

        def restored() -> Iterator[tuple[int, list[Completion]]]:
            for sequence, document in documents:
                if (slot := slots.get(sequence)) is not None:
                    self._ids[slot] = document.id
                    yield slot, completions_of(document)

        self.suggestions.add(restored())
        self.refresh()

    def follow(
        self, added: Sequence[Versioned], retired: Sequence[int], *, sequence: int, rules: QueryRules | None = None
    ) -> None:
        """Adds new versions of documents, in the order of their sequences, retires others, and replaces the rules.

        Publishes all changes at once before it returns.
        """
        if added or retired:
            died = self._slots.change([each.sequence for each in added], retired)
            self._append(added)
            self.suggestions.remove(died.tolist())
            self._live_vectors += sum(len(each.vectors.spans) for each in added if each.vectors is not None)
            self._live_vectors -= self.dense.view().count_of(died)
        if rules is not None:
            if rules.synonyms is not self._rules.synonyms:
                self._synonyms.follow(rules.synonyms, self.suggestions)
            self._rules = rules
        self._rules = self._rules.following(added)
        self._publish(sequence)

    def versions_of(self, ids: Iterable[str]) -> dict[str, int]:
        """Returns the sequences of the live documents with these ids, by id."""
        slots = self._slots.view()
        if self._slot_of is None:
            self._slot_of = {self._ids[slot]: slot for slot in np.flatnonzero(slots.live).tolist()}
        found = ((id, self._slot_of.get(id)) for id in ids)
        return {id: int(slots.sequences[slot]) for id, slot in found if slot is not None and slots.live[slot]}

    def refresh(self) -> None:
        """Publishes improvements that were made in the background, such as a new graph."""
        self._publish(self.state.sequence)

    def weigh(self, demands: Mapping[str, float]) -> None:
        """Orders the completions of later states by how much users want their documents, by id, from 0 to 1.

        The demand of further documents is 0.
        """
        self._demands = demands
        by_slot = np.zeros(len(self._ids), np.float32)
        if demands:
            live = np.flatnonzero(self._slots.view().live).tolist()
            by_slot[live] = [demands.get(self._ids[slot], 0.0) for slot in live]
        self.suggestions.weigh(by_slot)

    @property
    def demands(self) -> Mapping[str, float]:
        """The demand that `weigh` was given last."""
        return self._demands

    @property
    def unmeasured(self) -> bool:
        """Whether the documents have changed so much that the baseline of scores must be measured again."""
        state = self.state
        return is_outdated(self._measured_sequence, state.sequence, documents=state.slots.live_count)

    def measure(self) -> None:
        """Measures the baseline of scores for later states. One thread may do so while another changes the index."""
        state = self.state
        # Probes are not real queries: recall ignores them.
        corpus = state._replace(dense=dataclasses.replace(state.dense, observe=None)).corpus()
        self._baseline = measured(
            self._probes, lambda queries: list(map(corpus.find, queries)), corpus.statistics, weight=self._weights[0]
        )
        self._measured_sequence = state.sequence

    def close(self) -> None:
        """Ends the background work and removes its files. Searches that hold a state still work."""
        self.dense.close()

    def adopt(self, other: Self) -> Self:
        """Takes over the parts of another index; returns the other with the old dense index, to be closed."""
        # Keeps an ef_search that was raised for low recall.
        other.dense.ef_search = max(self.dense.ef_search, other.dense.ef_search)
        self.dense, other.dense = other.dense, self.dense
        self.lexical, self.titles = other.lexical, other.titles
        self.columns = other.columns
        self.suggestions, self._synonyms = other.suggestions, other._synonyms
        self._slots, self._ids, self._slot_of = other._slots, other._ids, other._slot_of
        self._live_vectors, self._rules = other._live_vectors, other._rules
        if self._demands:
            self.weigh(self._demands)
        self._publish(other.state.sequence)
        return other

    def _append(self, added: Sequence[Versioned]) -> None:
        if not added:
            return
        first = len(self._slots) - len(added)
        owners, ordinals, fields, matrices, texts = [], [], [], [], []
        for slot, each in enumerate(added, start=first):
            assert each.vectors is not None, "documents must be encoded"
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
        self._ids += [each.document.id for each in added]
        if self._slot_of is not None:
            self._slot_of |= {each.document.id: slot for slot, each in enumerate(added, start=first)}
        self.suggestions.add(
            (slot, completions_of(each.document, demand=self._demands.get(each.document.id, 0.0)))
            for slot, each in enumerate(added, start=first)
        )

    def _publish(self, sequence: int) -> None:
        slots = self._slots.view()
        self.state = State(
            sequence,
            self._live_vectors,
            self._weights,
            self._baseline,
            slots,
            self._ids,
            self.dense.view(),
            self.lexical.view(slots.live if slots.dead_count else None),
            self.titles.view(),
            self.columns.view(),
            self.suggestions.view(),
            self._rules,
        )


def snapshot_parts(state: State) -> Mapping[str, Arrays]:
    """Returns the arrays of a state's snapshot, without the files of the graph."""
    return {
        "slots": {"sequence": np.array(state.sequence), "sequences": state.slots.sequences},
        "dense": state.dense.arrays,
        "lexical": state.lexical.arrays,
        "titles": state.titles.arrays,
        "columns": state.columns.arrays,
    }
