"""The models of queries and of documents: one for both, or two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.source import SourceModel
from server.encoding.tokenizer import TextKind


class SourceTowers:
    """What becomes one bundle.

    Attributes:
        query: The model of queries, and of documents if there is no other.
        document: The model of documents, or None.
    """

    def __init__(self, query: SourceModel, document: SourceModel | None = None) -> None:
        """Puts them together.

        Raises:
            ExportError: They do not belong together.
        """
        self.query = query
        self.document = document
        if query.made_for is TextKind.DOCUMENT:
            raise ExportError(
                f"{query.origin} encodes only documents: give it as --document-model, and its question encoder as "
                "--model"
            )
        if document is None:
            if query.made_for is TextKind.QUERY:
                raise ExportError(f"{query.origin} encodes only queries: name its context encoder by --document-model")
            return
        if document.made_for is TextKind.QUERY:
            raise ExportError(f"{document.origin} encodes only queries: --document-model needs its context encoder")
        for name, of_query, of_document in (
            ("dimensions", query.dimension, document.dimension),
            ("similarity", query.similarity, document.similarity),
        ):
            if of_query != of_document:
                raise ExportError(
                    f"the two models do not belong together: {name} {of_query} in {query.origin}, {of_document} in "
                    f"{document.origin}"
                )

    @property
    def models(self) -> dict[TextKind, SourceModel]:
        """The models that there are, by what they encode; a single one stands for queries."""
        return {TextKind.QUERY: self.query} | ({TextKind.DOCUMENT: self.document} if self.document else {})

    @property
    def prefixes(self) -> dict[TextKind, str]:
        """What is put before a text, by its kind."""
        return {kind: self.model(kind).prefixes[kind] for kind in TextKind}

    def tower_of(self, kind: TextKind) -> TextKind:
        """Returns what the tower was made for that encodes texts of a kind."""
        return kind if kind in self.models else TextKind.QUERY

    def model(self, kind: TextKind) -> SourceModel:
        """Returns the model that encodes texts of a kind."""
        return self.models[self.tower_of(kind)]

    def encode(self, texts: Sequence[tuple[str, TextKind]]) -> NDArray[np.float32]:
        """Returns the fp32 vectors `[N, dimension]` of N texts."""
        vectors = np.empty((len(texts), self.query.dimension), dtype=np.float32)
        for tower, model in self.models.items():
            rows = [row for row, (_, kind) in enumerate(texts) if self.tower_of(kind) is tower]
            if rows:
                vectors[rows] = model.encode([texts[row] for row in rows])
        return vectors
