"""The parts of a catalogue with their vectors, as documents and as queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.quality.served import encode_passages, encode_queries
from server.catalogue.document import Document, Field, Part, parts_of
from server.encoding.bundle import Bundle
from server.live.index import FIELDS, field_weights

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


MOST_SCORES = 2**24
"""Scores that are in memory together, in a few copies of 64 MB each."""


class PartOf(NamedTuple):
    """A part, and the row of its document."""

    document: int
    part: Part

    @property
    def name(self) -> str:
        """Its field and language, such as `text (ko)`."""
        field, language = self.part.field.value, self.part.language_code
        return f"{field} ({language})" if language else field


class EncodedCatalogue:
    """Documents whose parts are encoded as the server encodes them.

    Attributes:
        documents: The documents.
        parts: The parts of all documents, in their order.
        vector_parts: For each vector the number of its part, ascending `[V]`.
        matrix: The vectors of all passages `[V, dimension]`.
    """

    def __init__(self, documents: Sequence[Document], bundle: Bundle, *, progress: Callable[[str], None]) -> None:
        """Encodes all passages. Raises BundleError if the bundle cannot be served or fails on a document."""
        progress(f"encoding {len(documents):,} documents")
        bundle.verify()
        self._bundle = bundle
        self._progress = progress
        self.documents = documents
        self.parts = [PartOf(row, part) for row, each in enumerate(documents) for part in parts_of(each)]
        vectors = encode_passages(bundle, documents)
        firsts = np.cumsum([0, *(len(parts_of(each)) for each in documents)])
        self.vector_parts: Rows = np.concatenate(
            [each.spans[:, 0] + first for each, first in zip(vectors, firsts[:-1], strict=True)]
        ).astype(np.int64)
        self.matrix: Floats = np.concatenate([each.matrix for each in vectors])

    @cached_property
    def part_documents(self) -> Rows:
        """The row of the document of each part `[P]`."""
        return np.array([each.document for each in self.parts], dtype=np.int64)

    @cached_property
    def weights(self) -> Floats:
        """The factor of each vector's similarities, by its field `[V]`."""
        by_field = dict(zip(FIELDS, field_weights(self._bundle.manifest), strict=True))
        of_parts = np.array([by_field[each.part.field] for each in self.parts], dtype=np.float32)
        return of_parts[self.vector_parts]

    @cached_property
    def directions(self) -> Floats:
        """The vectors with unit length `[V, dimension]`; those of a cosine bundle have it already."""
        lengths = np.linalg.norm(self.matrix, axis=1, keepdims=True)
        found: Floats = self.matrix / np.maximum(lengths, np.finfo(np.float32).tiny)
        return found

    @cached_property
    def queries(self) -> Floats:
        """The vector of each part as a query `[P, dimension]`: of a long text, of its beginning."""
        self._progress(f"encoding {len(self.parts):,} titles, texts and examples as queries")
        return encode_queries(self._bundle, [each.part.text for each in self.parts])

    def vectors_of(self, field: Field) -> Rows:
        """Returns the places of the vectors of a field, ascending."""
        of_field = np.array([each.part.field is field for each in self.parts])
        return np.flatnonzero(of_field[self.vector_parts])


def portions(rows: int, *, columns: int) -> Iterator[range]:
    """Yields the rows of a matrix of scores in portions of at most `MOST_SCORES`, and of one row at least."""
    size = max(1, MOST_SCORES // max(1, columns))
    for start in range(0, rows, size):
        yield range(start, min(start + size, rows))
