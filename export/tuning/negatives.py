"""Hard negatives: documents that a search finds for a query, but that do not answer it.

A document that is as near to the query as the labelled ones may answer it, too, without a label. A margin leaves such
documents out (Moreira et al. 2024, NV-Retriever).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from export.evaluation.judged import JudgedQuery
from export.evaluation.systems.bm25 import Bm25System
from export.evaluation.systems.terms import bigrams
from export.towers import SourceTowers
from export.tuning.pairs import Negative, groups_of, trained_texts
from server.catalogue.document import Document
from server.encoding.kind import Side, TextKind
from server.encoding.normalisation import normalised

KINDS = ("bm25", "dense")
"""The searches that find hard negatives, by the name that the flag has for them."""

DEPTH = 20
"""Documents that a search finds for each query."""

QUERIES_AT_ONCE = 256


def hard_negatives(
    source: SourceTowers,
    labels: Sequence[JudgedQuery],
    documents: Sequence[Document],
    *,
    count: int,
    kinds: Sequence[str],
    margin: float,
    progress: Callable[[str], None],
) -> dict[str, list[Negative]]:
    """Returns at most `count` hard negatives of each query, by its text.

    Args:
        source: The model, which measures how near a document is.
        labels: The queries.
        documents: All documents.
        count: Maximum negatives of a query.
        kinds: The searches, names of `KINDS`. With several, each gives a share.
        margin: The similarity to the query by which a negative must be below the nearest document with a label.
        progress: Called with a line for each step.
    """
    groups = groups_of(documents)
    separator = source.model(Side.DOCUMENT).title_separator
    texts = [trained_texts(each, separator) for each in documents]
    owners = np.repeat(np.arange(len(documents)), [len(each) for each in texts])
    parts = [text for each in texts for text in each]
    progress(f"encoding {len(documents):,} documents to find hard negatives")
    vectors = source.encode(parts)
    rankings = _by_words(labels, documents, progress) if "bm25" in kinds else None
    places = {each.id: place for place, each in enumerate(documents)}
    found: dict[str, list[Negative]] = {}
    for start in range(0, len(labels), QUERIES_AT_ONCE):
        progress(f"finding hard negatives: {start:,} of {len(labels):,} queries")
        some = labels[start : start + QUERIES_AT_ONCE]
        asked = source.encode([(normalised(each.text), TextKind.QUERY) for each in some])
        for row, (query, scores) in enumerate(zip(some, asked @ vectors.T, strict=True), start=start):
            best = _best_of_each(scores, owners, len(documents))
            relevant = {groups[id] for id in query.grades}
            nearest = max(float(best[places[id]]) for id in query.grades)
            lists = []
            if rankings is not None:
                lists.append([places[id] for id in rankings[row]])
            if "dense" in kinds:
                allowed = np.where(best <= nearest - margin, best, -np.inf)
                lists.append(np.argsort(-allowed, kind="stable")[: DEPTH + len(relevant)].tolist())
            chosen = [
                place
                for place in _alternating(lists)
                if groups[documents[place].id] not in relevant and best[place] <= nearest - margin
            ]
            found[query.text] = [
                Negative(parts[_best_part(scores, owners, place)], groups[documents[place].id])
                for place in chosen[:count]
            ]
    return found


def _by_words(
    labels: Sequence[JudgedQuery], documents: Sequence[Document], progress: Callable[[str], None]
) -> list[list[str]]:
    progress(f"searching {len(labels):,} queries with BM25")
    return Bm25System("BM25", documents, bigrams, tuning=(), progress=progress).search([each.text for each in labels])


def _best_of_each(scores: NDArray[np.float32], owners: NDArray[np.int64], documents: int) -> NDArray[np.float32]:
    """Returns the score of the best part of each document."""
    best = np.full(documents, -np.inf, dtype=np.float32)
    np.maximum.at(best, owners, scores)
    return best


def _best_part(scores: NDArray[np.float32], owners: NDArray[np.int64], place: int) -> int:
    own = np.flatnonzero(owners == place)
    return int(own[scores[own].argmax()])


def _alternating(lists: Sequence[Sequence[int]]) -> list[int]:
    """Returns the elements of some lists, one of each in turn, each once."""
    longest = max(map(len, lists), default=0)
    return list(dict.fromkeys(each[rank] for rank in range(longest) for each in lists if rank < len(each)))
