"""The fp32 original of a bundle, which encodes the same passages with the same prefixes and center."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.source import SourceModel
from export.towers import SourceTowers
from server.catalogue.document import Document
from server.catalogue.encoded import Vectors
from server.encoding.arrays import read_array
from server.encoding.bundle import Bundle
from server.encoding.center import CENTER_FILE
from server.encoding.kind import TextKind
from server.encoding.normalisation import normalised
from server.encoding.passages import passages_of


class OriginalEncoder:
    """The model that a bundle was made of."""

    suffix = " in fp32"

    def __init__(self, bundle: Bundle, model: str, document_model: str | None = None) -> None:
        """Opens the model, or the two models of DPR.

        Raises:
            ExportError: A model does not exist, or its vectors do not have the bundle's dimension.
        """
        self.bundle = bundle
        manifest = bundle.manifest
        if (manifest.document is not None) != (document_model is not None):
            needed = "has two models: set --document-model, too" if manifest.document else "has no --document-model"
            raise ExportError(f"{bundle.directory} {needed}")
        self._source = SourceTowers(self._open(model), None if document_model is None else self._open(document_model))
        for side in manifest.towers:
            name = f"{side.value}/{CENTER_FILE}"
            if name in manifest.files:
                center = read_array(bundle.directory / name, shape=(manifest.dimension,))
                self._source.centers[side] = center

    def passages(self, documents: Sequence[Document]) -> list[Vectors]:
        """Returns the vectors of each document, whose passages are the bundle's."""
        cut = [passages_of(each, self.bundle) for each in documents]
        matrix = self._source.encode([text for each in cut for text in each.texts])
        ends = accumulate(len(each.texts) for each in cut)
        return [Vectors(each.spans, matrix[end - len(each.texts) : end]) for each, end in zip(cut, ends, strict=True)]

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N queries."""
        return self._source.encode([(normalised(text), TextKind.QUERY) for text in texts])

    def _open(self, model: str) -> SourceModel:
        manifest = self.bundle.manifest
        source = SourceModel(model, prefixes=manifest.prefixes.by_kind())
        if source.whole_dimension < manifest.dimension or source.similarity != manifest.similarity:
            raise ExportError(
                f"{source.origin} is not the original of {self.bundle.directory}, whose vectors have "
                f"{manifest.dimension} dimensions and are compared by {manifest.similarity}"
            )
        source.dimension = manifest.dimension
        return source
