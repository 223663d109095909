"""Keeps the synthetic queries that find their document again, and only theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from export.bootstrap.synthetic.making import SyntheticQuery, without_case_and_spaces
from export.evaluation.runs import DEPTH
from export.evaluation.systems.served import BundleEncoder, EncodedDocuments, served_systems
from server.catalogue.document import Document, Field, parts_of
from server.encoding.bundle import Bundle
from server.ranking.options import Mode

MODES = (Mode.DENSE, Mode.HYBRID)
"""The modes of search in which a query has to find its document."""

TOP = 1
"""The default of `top`."""


def round_trip(
    queries: Sequence[SyntheticQuery],
    documents: Sequence[Document],
    bundle: Bundle,
    *,
    top: int = TOP,
    progress: Callable[[str], None],
) -> list[SyntheticQuery]:
    """Returns the queries that are distinctive and find their document among the first `top` hits of each mode.

    A query is distinctive if no rule has made it for another document, and it is no title or example of another one.

    Raises:
        BundleError: The model fails on a document.
        ValueError: `top` is more than `DEPTH`.
    """
    if top > DEPTH:
        raise ValueError(f"only {DEPTH} hits are searched for")
    owners = _owners(queries, documents)
    distinctive = [each for each in queries if owners[each.key] == {each.document_id}]
    if not distinctive:
        return []
    texts = [each.text for each in distinctive]
    passed = [True] * len(texts)
    encoded = EncodedDocuments(BundleEncoder(bundle), documents, documents, progress=progress)
    for system in served_systems(encoded, MODES, labels=False):
        progress(f"searching {len(texts):,} queries with {system.name}")
        for row, found in enumerate(system.search(texts)):
            passed[row] &= distinctive[row].document_id in found[:top]
    return [each for each, kept in zip(distinctive, passed, strict=True) if kept]


def _owners(queries: Sequence[SyntheticQuery], documents: Sequence[Document]) -> dict[str, set[str]]:
    """Returns the ids of the documents that have a text as a query, a title or an example, by its key."""
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for each in queries:
        owners[each.key].add(each.document_id)
    for document in documents:
        for part in parts_of(document):
            if part.field is not Field.TEXT:
                owners[without_case_and_spaces(part.text)].add(document.id)
    return owners
