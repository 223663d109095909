"""The state of the live index at one moment. A search uses one state throughout."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from server.attributes.columns import ColumnsView
from server.attributes.filter import Filter
from server.attributes.warnings import asked_attributes, warnings_of
from server.lexical.titles import TitlesView
from server.lexical.view import LexicalView
from server.ranking.baseline import Baseline
from server.ranking.local import LocalCorpus
from server.ranking.query_rules import QueryRules
from server.ranking.served import Counts
from server.ranking.slots import DocumentSlotsView
from server.suggest.view import SuggestView
from server.vectors.view import DenseView


class State(NamedTuple):
    """An immutable state; any thread may search it. All its views have the same slots.

    `sequence` is that of the last change, `live_vectors` is the number of vectors of live documents, `weights` has the
    factor of the similarities of each field's vectors, `baseline` is as last measured, and `ids` has the id of the
    document of each slot that is live; later states may append to it.
    """

    sequence: int
    live_vectors: int
    weights: tuple[float, ...]
    baseline: Baseline
    slots: DocumentSlotsView
    ids: Sequence[str]
    dense: DenseView
    lexical: LexicalView
    titles: TitlesView
    columns: ColumnsView
    suggestions: SuggestView
    rules: QueryRules

    @property
    def texts(self) -> Sequence[object]:
        """The views that readings and synonyms depend on. Titles change with the words."""
        return self.lexical, self.suggestions, self.rules.synonyms

    def comparing(self, vectors: Sequence[NDArray[np.float32]]) -> Self:
        """Returns the state for searches with these vectors; see `DenseView.comparing`."""
        return self._replace(dense=self.dense.comparing(vectors, weights=self.weights))

    def corpus(self, filter: Filter | None = None) -> LocalCorpus:
        """Returns the documents that match a filter, for one search; None matches all."""
        return LocalCorpus(
            self.slots,
            self.ids,
            self.dense,
            self.lexical,
            self.titles,
            self.columns,
            self.suggestions,
            self.weights,
            filter,
        )

    @property
    def is_remote(self) -> bool:
        """False: this process has the documents."""
        return False

    @property
    def document_count(self) -> int:
        """The number of live documents."""
        return self.slots.live_count

    @property
    def completions(self) -> SuggestView:
        """The completions, which are the same in states that suggest the same."""
        return self.suggestions

    @property
    def completion_count(self) -> int:
        """The number of completions."""
        return len(self.suggestions)

    @property
    def counts(self) -> Counts:
        """The numbers of documents and vectors."""
        return Counts(self.slots.live_count, self.live_vectors, bool(self.dense.graph_count))

    @property
    def shard_count(self) -> int:
        """This process has all documents."""
        return 0

    @property
    def missing_shards(self) -> int:
        """No answer is partial."""
        return 0

    def partial(self) -> Self:
        """Returns this state: no answer is partial."""
        return self

    def warnings(self, filter: Filter) -> list[str]:
        """Returns the warnings of a filter; see `warnings_of`."""
        return warnings_of(filter, (), self.corpus().attributes(asked_attributes(filter, ())))

    def vectors_by_part(self) -> dict[str, int]:
        """Returns the number of live vectors in the graph, of those compared exactly, and of dead vectors."""
        in_graph = int(np.count_nonzero(self.slots.live[self.dense.owners[: self.dense.graph_count]]))
        return {
            "graph": in_graph,
            "exact": self.live_vectors - in_graph,
            "dead": len(self.dense) - self.live_vectors,
        }

    def matching(self, filter: Filter) -> NDArray[np.int64]:
        """Returns the sequences of the documents that match, ascending."""
        return self.slots.sequences[self.columns.select(filter) & self.slots.live]
