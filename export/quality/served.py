"""Documents in a live index, encoded in passages and searched with the server's code."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from export.quality.cores import encode_all
from server.catalogue.document import Document
from server.catalogue.encoded import Vectors, Versioned
from server.cpus import usable_cpus
from server.encoding.bundle import Bundle
from server.encoding.documents import encode_documents
from server.encoding.kind import TextKind
from server.encoding.normalisation import normalised
from server.live.exact import exact_index
from server.ranking.found import Found
from server.ranking.options import SearchOptions
from server.ranking.probes import EncodedProbes
from server.ranking.search import search

BATCH_QUERIES = 64
"""Queries that a core compares with all vectors at a time; with 10, each takes four times as long."""

MOST_BYTES = 2**30
"""Maximum size of their scores."""


def encode_passages(bundle: Bundle, documents: Sequence[Document]) -> list[Vectors]:
    """Returns the vectors of each document, encoded on all cores.

    Raises:
        BundleError: The model fails on a document.
    """
    with ThreadPoolExecutor(usable_cpus()) as pool:
        return encode_documents(documents, bundle, map=pool.map)


def encode_queries(bundle: Bundle, queries: Sequence[str]) -> NDArray[np.float32]:
    """Returns the vectors `[N, dimension]` of N queries, encoded on all cores."""
    return encode_all(bundle.encode_texts, [(normalised(query), TextKind.QUERY) for query in queries])


class ServedDocuments:
    """A live index of documents. A document's sequence is its position."""

    def __init__(
        self,
        bundle: Bundle,
        documents: Sequence[Document],
        vectors: Sequence[Vectors],
        *,
        probes: EncodedProbes,
        folder: Path,
    ) -> None:
        """Indexes the documents with their vectors. The index uses a temporary folder in `folder`."""
        index = exact_index(bundle.manifest, probes, folder=folder)
        versions = [Versioned(*each) for each in zip(range(len(documents)), documents, vectors, strict=True)]
        index.follow(versions, [], sequence=len(documents))
        with threadpool_limits(1):  # Beside other programs, several threads wait for each other in each small product.
            index.measure()
        index.refresh()
        self._state = index.state
        index.close()

    def search(self, query: str, vector: NDArray[np.float32], options: SearchOptions) -> Found:
        """Searches for a query as the server does; `vector` is the query's vector."""
        return search(self._state, normalised(query), vector, options)

    def search_all(
        self, queries: Sequence[str], vectors: NDArray[np.float32] | None, options: SearchOptions
    ) -> list[Found]:
        """Searches for N queries on all cores; `vectors` are those of the queries `[N, dimension]`.

        Like a worker of the server, it compares a batch of queries with all vectors at once. LEXICAL mode needs none.
        """
        starts = range(0, len(queries), BATCH_QUERIES)

        def search_batch(start: int) -> list[Found]:
            texts, state = queries[start : start + BATCH_QUERIES], self._state
            if vectors is None:
                return [search(state, normalised(text), None, options) for text in texts]
            rows = list(vectors[start : start + BATCH_QUERIES])
            state = state._replace(dense=state.dense.comparing(rows, weights=state.weights, most_bytes=MOST_BYTES))
            return [search(state, normalised(text), row, options) for text, row in zip(texts, rows, strict=True)]

        with threadpool_limits(1), ThreadPoolExecutor(usable_cpus()) as pool:
            return [each for batch in pool.map(search_batch, starts) for each in batch]
