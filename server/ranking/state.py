"""The state of the live index at one moment: what one search sees, from its first look to its last."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.attributes.columns import ColumnsView
from server.attributes.filter import Filter
from server.lexical.titles import TitlesView
from server.lexical.view import LexicalView
from server.ranking.baseline import Baseline
from server.ranking.slots import DocumentSlotsView
from server.vectors.view import DenseView


class State(NamedTuple):
    """Immutable; any thread may search it. All its views have the same slots.

    Attributes:
        sequence: That of the last change that it shows.
        weights: By field, what the similarities of its vectors are multiplied with.
        baseline: What scores are worth, as it was measured last.
    """

    sequence: int
    weights: tuple[float, ...]
    baseline: Baseline
    slots: DocumentSlotsView
    dense: DenseView
    lexical: LexicalView
    titles: TitlesView
    columns: ColumnsView

    def allowed(self, filter: Filter | None) -> NDArray[np.bool_] | None:
        """Returns by slot which documents may be found; None if every slot may."""
        if filter is not None:
            return self.columns.select(filter) & self.slots.live
        return self.slots.live if self.slots.dead_count else None

    def matching(self, filter: Filter) -> NDArray[np.int64]:
        """Returns the sequences of the documents that match, ascending."""
        return self.slots.sequences[self.columns.select(filter) & self.slots.live]
