"""The server's search with a bundle, in each mode, with and without labels as example queries."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from export.evaluation.runs import DEPTH, WITH_LABELS
from export.quality.served import ServedDocuments, encode_passages, encode_queries
from server.catalogue.document import Document, parts_of
from server.catalogue.encoded import Vectors
from server.encoding.bundle import Bundle
from server.ranking.options import Mode, SearchOptions
from server.ranking.probes import encode_probes


class Encoder(Protocol):
    """The model of a bundle, quantized or not."""

    suffix: str
    """The end of its lines of progress."""

    bundle: Bundle

    def passages(self, documents: Sequence[Document]) -> list[Vectors]:
        """Returns the vectors of each document."""

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N queries."""


class BundleEncoder:
    """A bundle as it is served."""

    suffix = ""

    def __init__(self, bundle: Bundle) -> None:
        """Checks the bundle as the server does. Raises BundleError if it cannot be served."""
        bundle.verify()
        self.bundle = bundle

    def passages(self, documents: Sequence[Document]) -> list[Vectors]:
        """Returns the vectors of each document. Raises BundleError if the model fails on one."""
        return encode_passages(self.bundle, documents)

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N queries."""
        return encode_queries(self.bundle, texts)


class EncodedDocuments:
    """Documents that are encoded once, and indexed with and without labels."""

    def __init__(
        self,
        encoder: Encoder,
        plain: Sequence[Document],
        with_labels: Sequence[Document],
        *,
        progress: Callable[[str], None],
    ) -> None:
        """Encodes nothing yet. `with_labels` are the same documents, whose last example queries are labels."""
        self._encoder = encoder
        self.plain = plain
        self._with_labels = with_labels
        self._progress = progress
        self._encoded_queries: tuple[list[str], NDArray[np.float32]] | None = None

    def index(self, *, labels: bool) -> ServedDocuments:
        """Returns the index of the documents."""
        return self._index_with_labels if labels else self._index

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors `[N, dimension]` of N queries, and remembers the last ones."""
        if self._encoded_queries is None or self._encoded_queries[0] != list(texts):
            self._progress(f"encoding {len(texts):,} queries{self._encoder.suffix}")
            self._encoded_queries = list(texts), self._encoder.queries(texts)
        return self._encoded_queries[1]

    @cached_property
    def _vectors(self) -> list[Vectors]:
        self._progress(f"encoding {len(self.plain):,} documents{self._encoder.suffix}")
        return self._encoder.passages(self._with_labels)

    @cached_property
    def _index_with_labels(self) -> ServedDocuments:
        return self._indexed(self._with_labels, self._vectors)

    @cached_property
    def _index(self) -> ServedDocuments:
        pairs = zip(self.plain, self._vectors, strict=True)
        return self._indexed(self.plain, [first_parts(each, len(parts_of(document))) for document, each in pairs])

    def _indexed(self, documents: Sequence[Document], vectors: Sequence[Vectors]) -> ServedDocuments:
        bundle = self._encoder.bundle
        with tempfile.TemporaryDirectory() as folder:
            return ServedDocuments(bundle, documents, vectors, probes=encode_probes(bundle), folder=Path(folder))


@dataclass(frozen=True)
class ServedSystem:
    """A mode of search. LEXICAL mode encodes no query."""

    name: str
    documents: EncodedDocuments
    mode: Mode
    labels: bool = False
    note: str = ""

    def search(self, queries: Sequence[str]) -> list[list[str]]:
        """Returns for each query the ids of the best documents."""
        index = self.documents.index(labels=self.labels)
        vectors = None if self.mode is Mode.LEXICAL else self.documents.queries(queries)
        found = index.search_all(queries, vectors, SearchOptions(DEPTH, self.mode))
        return [[self.documents.plain[hit.sequence].id for hit in each.documents] for each in found]


def served_systems(
    documents: EncodedDocuments, modes: Sequence[Mode], *, labels: bool, suffix: str = ""
) -> list[ServedSystem]:
    """Returns a system for each mode, and with `labels` one more that has them."""
    return [
        ServedSystem(f"{mode.name}{suffix}{WITH_LABELS if taught else ''}", documents, mode, taught)
        for taught in ((False, True) if labels else (False,))
        for mode in modes
    ]


def first_parts(vectors: Vectors, parts: int) -> Vectors:
    """Returns the vectors of the first parts of a document."""
    kept = vectors.spans[:, 0] < parts
    return Vectors(vectors.spans[kept], vectors.matrix[kept])
