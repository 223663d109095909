"""Measures a model in training on the development part of its labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.evaluation.judged import JudgedQuery
from export.evaluation.measures import NAMES, measured
from export.evaluation.reading import chosen
from export.evaluation.runs import DEPTH
from export.quality.corpus import MAX_DOCUMENTS
from export.quality.exact_search import exact_search
from export.towers import SourceTowers
from server.catalogue.document import Document
from server.encoding.kind import Side, TextKind
from server.encoding.normalisation import normalised
from server.encoding.passages import encodables_of

MEASURE = "nDCG@10"


class Development:
    """The queries of the development part, and the documents that they search."""

    def __init__(
        self,
        source: SourceTowers,
        documents: Sequence[Document],
        queries: Sequence[JudgedQuery],
        *,
        documents_change: bool = True,
    ) -> None:
        """Encodes nothing yet. Of more than 2,000 documents, it takes those that answer, and a sample.

        Args:
            source: The models.
            documents: All documents.
            queries: The development part.
            documents_change: Whether the training changes the vectors of documents.
        """
        self._source = source
        self._queries = queries
        self._documents = chosen(documents, queries, MAX_DOCUMENTS)
        self._documents_change = documents_change
        self._vectors: NDArray[np.float32] | None = None

    def score(self) -> float:
        """Returns the mean nDCG@10 with the present weights of the model, in fp32, on texts as they are served."""
        separator = self._source.model(Side.DOCUMENT).title_separator
        texts = [[part.text for part in encodables_of(each, separator)] for each in self._documents]
        if self._vectors is None or self._documents_change:
            self._vectors = self._source.encode([text for each in texts for text in each])
        found = exact_search(
            self._vectors,
            [place for place, each in enumerate(texts) for _ in each],
            self._source.encode([(normalised(each.text), TextKind.QUERY) for each in self._queries]),
            similarity=self._source.query.similarity,
            limit=DEPTH,
        )
        ids = [[self._documents[place].id for place in places] for places in found]
        return float(measured(self._queries, ids)[NAMES.index(MEASURE)].mean())
