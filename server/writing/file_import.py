"""Imports the catalogue file into the store. Only new or changed documents are imported.

Documents written through CatalogService stay until the same document changes in the file.
"""

import asyncio
import hashlib
import logging
import math
from pathlib import Path
from typing import NamedTuple

from server.catalogue.catalogue import load_catalogue
from server.catalogue.changes import Delete, Upsert
from server.catalogue.document import Document, content_of
from server.catalogue.store import Store
from server.errors import CatalogueError, ChajaError
from server.progress import Progress
from server.writing.committer import FileRecord
from server.writing.writer import Writer

log = logging.getLogger(__name__)

PORTION_DOCUMENTS = 1000
"""Documents that become durable together: a file with at most this many is imported completely or not at all."""


ALWAYS_MISSING = 3
"""Documents or rules that may be missing from a file whatever `max_shrink` is: a small file changes by large shares."""


class FileLimits(NamedTuple):
    """The limits of imported files.

    Attributes:
        max_document_characters: Maximum characters in a document.
        max_shrink: Share of the documents or rules of the last import that may be missing.
    """

    max_document_characters: int
    max_shrink: float

    def forbid(self, *, missing: int, before: int) -> bool:
        """Returns whether more is missing than may be, of what was there before."""
        return missing > max(ALWAYS_MISSING, self.max_shrink * before)

    def remedy(self, *, missing: int, before: int) -> str:
        """Returns how to allow it."""
        share = math.ceil(100 * missing / before) / 100
        return f"set --max-catalogue-shrink to {share:g} or more (it is {self.max_shrink:g})"


class Difference(NamedTuple):
    """The changes of a file since it was last imported.

    `changed` has the new or changed documents with their digests, `gone` the ids that are no longer in the file.
    """

    changed: list[tuple[Document, bytes]]
    gone: list[str]


async def import_file(path: Path, store: Store, writer: Writer, limits: FileLimits, progress: Progress) -> None:
    """Imports the changes of a file since its last import, and reports its progress.

    Raises CatalogueError if the file, the store or the model fails. Then no change is made, unless there are more than
    `PORTION_DOCUMENTS`: earlier portions stay.
    """
    difference = await asyncio.to_thread(read_difference, path, store, limits)
    total = len(difference.changed)
    if not total and not difference.gone:
        return
    log.info("importing %s: %d documents are new or changed, %d were removed", path, total, len(difference.gone))
    progress.begin("importing documents of the catalogue file", total=total)
    starts = range(0, max(total, 1), PORTION_DOCUMENTS)
    for start in starts:
        portion = difference.changed[start : start + PORTION_DOCUMENTS]
        gone = difference.gone if start == starts[-1] else []
        try:
            await writer.import_file(
                [Upsert(document) for document, _ in portion],
                [Delete(id) for id in gone],
                FileRecord({document.id: digest for document, digest in portion}, gone),
            )
        except ChajaError as error:
            raise CatalogueError(f"{path}: {error}") from None
        progress.advance(min(start + PORTION_DOCUMENTS, total))
        if total > PORTION_DOCUMENTS:
            log.info("importing %s: %d of %d documents", path, min(start + PORTION_DOCUMENTS, total), total)


def read_difference(path: Path, store: Store, limits: FileLimits) -> Difference:
    """Compares a file with its last import. Blocks; raises CatalogueError if the file cannot be used."""
    known = store.file_digests()
    changed: list[tuple[Document, bytes]] = []
    documents = load_catalogue(path, max_document_characters=limits.max_document_characters)
    before = len(known)
    for document in documents:
        digest = hashlib.blake2b(content_of(document), digest_size=16).digest()
        if known.pop(document.id, None) != digest:
            changed.append((document, digest))
    _check_missing(path, before=before, missing=len(known), limits=limits)
    return Difference(changed, list(known))


def _check_missing(path: Path, *, before: int, missing: int, limits: FileLimits) -> None:
    if limits.forbid(missing=missing, before=before):
        raise CatalogueError(
            f"{path} lacks {missing} of the {before} documents that it had when it was last imported: it may have been "
            f"cut short, or its ids have changed; if it is complete, {limits.remedy(missing=missing, before=before)}"
        )
