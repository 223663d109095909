"""Searches vectors as the server does, without an HNSW graph."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.similarity import Similarity
from server.vectors.dense import DenseIndex, DenseOptions


def exact_search(
    vectors: NDArray[np.float32],
    owners: Sequence[int],
    queries: NDArray[np.float32],
    *,
    similarity: Similarity,
    limit: int,
) -> list[list[int]]:
    """Returns for each query the positions of its best documents, best first.

    Args:
        vectors: Vectors of the documents' passages `[V, dimension]`.
        owners: The position of each vector's document, ascending.
        queries: Vectors of the queries `[N, dimension]`.
        similarity: The measure that compares vectors.
        limit: Maximum documents for each query.
    """
    with tempfile.TemporaryDirectory() as folder:
        no_graph = DenseOptions(hnsw_from_vectors=len(vectors) + 1)
        index = DenseIndex(vectors.shape[1], similarity, "f32", folder=Path(folder), options=no_graph)
        zeros = np.zeros(len(vectors), dtype=np.int32)
        index.append(np.array(owners, dtype=np.int32), zeros, zeros.astype(np.uint8), vectors)
        view = index.view()
        found = [[match.slot for match in view.search(query, limit=limit, exact=True)] for query in queries]
        index.close()
    return found
