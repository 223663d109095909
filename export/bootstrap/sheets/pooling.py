"""The documents to label for each query: what any mode of search finds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from export.bootstrap.sheets.cells import query_part
from export.evaluation.systems.served import BundleEncoder, EncodedDocuments, served_systems
from server.catalogue.document import Document
from server.encoding.bundle import Bundle
from server.ranking.options import Mode


class Pooled(NamedTuple):
    """A query, and the ids of the documents to label, in an order that says nothing about them."""

    query: str
    document_ids: list[str]


def pooled(
    queries: Sequence[str],
    documents: Sequence[Document],
    bundle: Bundle,
    *,
    depth: int,
    seed: int,
    progress: Callable[[str], None],
) -> list[Pooled]:
    """Returns for each query the first `depth` hits of every mode, shuffled, and the queries shuffled.

    The order depends on the seed and on what was found, not on ranks or modes. Raises BundleError if the bundle fails.
    """
    encoded = EncodedDocuments(BundleEncoder(bundle), documents, documents, progress=progress)
    pools: list[set[str]] = [set() for _ in queries]
    for system in served_systems(encoded, list(Mode), labels=False):
        progress(f"searching {len(queries):,} queries with {system.name}")
        for pool, found in zip(pools, system.search(queries), strict=True):
            pool.update(found[:depth])
    return [
        Pooled(queries[row], _shuffled(pools[row], f"{seed}/{query_part(queries[row])}"))
        for row in _order(len(queries), seed)
    ]


def _order(count: int, seed: int) -> list[int]:
    return random.Random(seed).sample(range(count), count)  # noqa: S311  an order, not a secret


def _shuffled(ids: set[str], seed: str) -> list[str]:
    ordered = sorted(ids)
    random.Random(seed).shuffle(ordered)  # noqa: S311  an order, not a secret
    return ordered
