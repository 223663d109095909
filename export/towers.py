"""The models of queries and documents: one model for both, or two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.source import SourceModel
from server.encoding.center import centered
from server.encoding.kind import Side, TextKind
from server.encoding.shortening import shortened


class SourceTowers:
    """The models of a bundle: one for all texts, or one for each side.

    Attributes:
        query: The model of queries, and of documents if `document` is None.
        document: The model of documents, or None.
        centers: The center that is subtracted from a tower's vectors, by side; towers without one have no entry.
    """

    def __init__(self, query: SourceModel, document: SourceModel | None = None) -> None:
        """Combines the models.

        Raises:
            ExportError: The models do not belong together.
        """
        self.query = query
        self.document = document
        self.centers: dict[Side, NDArray[np.float32]] = {}
        if query.made_for is Side.DOCUMENT:
            raise ExportError(
                f"{query.origin} encodes only documents: set it as --document-model, and its question encoder as "
                "--model"
            )
        if document is None:
            if query.made_for is Side.QUERY:
                raise ExportError(f"{query.origin} encodes only queries: set its context encoder as --document-model")
            return
        if document.made_for is Side.QUERY:
            raise ExportError(f"{document.origin} encodes only queries: --document-model needs its context encoder")
        for name, of_query, of_document in (
            ("dimensions", query.whole_dimension, document.whole_dimension),
            ("dimensions", query.dimension, document.dimension),
            ("similarity", query.similarity, document.similarity),
        ):
            if of_query != of_document:
                raise ExportError(
                    f"the two models do not belong together: {name} {of_query} in {query.origin}, {of_document} in "
                    f"{document.origin}"
                )

    @property
    def models(self) -> dict[Side, SourceModel]:
        """The models by side; a single model is on the query side."""
        return {Side.QUERY: self.query} | ({Side.DOCUMENT: self.document} if self.document else {})

    @property
    def prefixes(self) -> dict[TextKind, str]:
        """The prefix of each kind of text."""
        return {kind: self.model(kind.side).prefixes[kind] for kind in TextKind}

    def covers(self, text: str, kind: TextKind) -> bool:
        """Returns whether a text has the same tokens in the trimmed vocabulary of its tower as in the whole one."""
        return self.model(kind.side).covers(text, kind)

    def tower_of(self, kind: TextKind) -> Side:
        """Returns the side of the tower that encodes texts of a kind."""
        return kind.side if kind.side in self.models else Side.QUERY

    def model(self, side: Side) -> SourceModel:
        """Returns the model that encodes the texts of a side."""
        return self.models.get(side, self.query)

    def encode(self, texts: Sequence[tuple[str, TextKind]]) -> NDArray[np.float32]:
        """Returns the fp32 vectors `[N, dimension]` of N texts, centered if the tower has a center."""
        return self.shortened(self.encode_whole(texts), texts)

    def encode_whole(self, texts: Sequence[tuple[str, TextKind]]) -> NDArray[np.float32]:
        """Returns the whole fp32 vectors `[N, whole dimension]` of N texts, not centered."""
        vectors = np.empty((len(texts), self.query.whole_dimension), dtype=np.float32)
        for tower, rows in self._rows_by_tower(texts):
            vectors[rows] = self.models[tower].encode_whole([texts[row] for row in rows])
        return vectors

    def shortened(self, whole: NDArray[np.float32], texts: Sequence[tuple[str, TextKind]]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` that belong to the whole vectors of N texts."""
        vectors = np.empty((len(texts), self.query.dimension), dtype=np.float32)
        for tower, rows in self._rows_by_tower(texts):
            vectors[rows] = self.finished(whole[rows], tower)
        return vectors

    def finished(self, whole: NDArray[np.float32], tower: Side) -> NDArray[np.float32]:
        """Returns whole vectors of a tower as the server does: shortened, and centered if the tower has a center."""
        model = self.models[tower]
        short = shortened(whole, model.dimension, unit_length=model.normalise)
        return centered(short, self.centers.get(tower))

    def _rows_by_tower(self, texts: Sequence[tuple[str, TextKind]]) -> Iterator[tuple[Side, list[int]]]:
        """Yields the towers that encode any of the texts, each with the positions of its texts."""
        for tower in self.models:
            rows = [row for row, (_, kind) in enumerate(texts) if self.tower_of(kind) is tower]
            if rows:
                yield tower, rows
