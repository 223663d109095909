"""Imports the catalogue's file into the store: of its documents those that it says something new of.

What was written through CatalogService stays, until the file says something else of the same document.
"""

import asyncio
import hashlib
import logging
from pathlib import Path
from typing import NamedTuple

from server.catalogue.catalogue import load_catalogue
from server.catalogue.changes import Delete, Upsert
from server.catalogue.document import Document, content_of
from server.catalogue.store import Store
from server.errors import CatalogueError, ChajaError
from server.writing.committer import FileRecord
from server.writing.writer import Writer

log = logging.getLogger(__name__)

PORTION_DOCUMENTS = 1000
"""Documents that become durable together: a file with fewer changes is imported wholly or not at all."""


class Difference(NamedTuple):
    """What a file says that it did not say before.

    Attributes:
        documents: New or changed ones.
        digests: Of these, one each.
        gone: Ids of documents that it does not speak of any more.
    """

    documents: list[Document]
    digests: list[bytes]
    gone: list[str]


async def import_file(path: Path, store: Store, writer: Writer) -> None:
    """Imports a file; does nothing where it says what it said before.

    Raises:
        CatalogueError: The file cannot be used, or the store or the model fails. Nothing of it is used, unless it has
            very many changes: then some may be.
    """
    difference = await asyncio.to_thread(read_difference, path, store)
    total = len(difference.documents)
    if not total and not difference.gone:
        return
    log.info("importing %s: %d documents are new or changed, %d are gone", path, total, len(difference.gone))
    starts = range(0, max(total, 1), PORTION_DOCUMENTS)
    for start in starts:
        portion = slice(start, start + PORTION_DOCUMENTS)
        documents, digests = difference.documents[portion], difference.digests[portion]
        gone = difference.gone if start == starts[-1] else []
        try:
            await writer.import_file(
                [Upsert(document) for document in documents],
                [Delete(id) for id in gone],
                FileRecord({each.id: digest for each, digest in zip(documents, digests, strict=True)}, gone),
            )
        except ChajaError as error:
            raise CatalogueError(f"{path}: {error}") from None
        if total > PORTION_DOCUMENTS:
            log.info("importing %s: %d of %d documents", path, min(start + PORTION_DOCUMENTS, total), total)


def read_difference(path: Path, store: Store) -> Difference:
    """Compares a file with what it said when it was imported last. Blocks; raises CatalogueError."""
    known = store.file_digests()
    documents, digests = [], []
    for document in load_catalogue(path):
        digest = hashlib.blake2b(content_of(document), digest_size=16).digest()
        if known.pop(document.id, None) != digest:
            documents.append(document)
            digests.append(digest)
    return Difference(documents, digests, list(known))
