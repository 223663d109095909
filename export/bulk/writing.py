"""Writes encoded portions to a store, each in a separate transaction."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from export.bulk.portions import Encoded
from export.errors import ExportError
from server.catalogue.database import locked
from server.catalogue.location import Location
from server.catalogue.store import Store
from server.errors import ChangesLost, StoreFull, StoreUnavailable

RETRY_SECONDS = 60.0
"""Time for which a transaction is tried again while the database is away."""

PAUSE_SECONDS = 1.0


@contextlib.contextmanager
def opened(location: Location, *, revision: str) -> Iterator[Store]:
    """Opens a store that can be written, for vectors of a model; raises StoreError or ExportError.

    No server may use it if it is in a directory. Servers may use a database of PostgreSQL at the same time.
    """
    with (
        _translated(),  # The disk may be full from the start.
        locked(location) if isinstance(location, Path) else contextlib.nullcontext(),
        contextlib.closing(Store(location)) as store,
    ):
        with store.write() as transaction:  # It fails at once if the database is read-only.
            transaction.use_vectors(revision)
        yield store


class _Written(NamedTuple):
    """Numbers of what a transaction has written, as in `Writer`."""

    documents: int
    unchanged: int
    vectors: int


@dataclass
class Writer:
    """Writes portions. A portion that is written twice changes nothing.

    Attributes:
        only_vectors: Whether documents that the store has otherwise, or does not have, are left out.
        documents: Number of documents that were new or changed.
        unchanged: Number of documents that the store had, and that got only vectors of this model.
        left_out: Number of documents that were left out.
        vectors: Number of vectors that were written.
    """

    store: Store
    revision: str
    only_vectors: bool = False
    documents: int = 0
    unchanged: int = 0
    left_out: int = 0
    vectors: int = 0

    @property
    def written(self) -> int:
        """Number of documents that were written, or whose vectors were."""
        return self.documents + self.unchanged

    def write(self, portion: Encoded) -> None:
        """Writes a portion, in the main thread. Raises StoreError or ExportError; then none of it is written."""
        until = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                with _translated(), _uninterrupted():
                    self._count(portion, self._write(portion))
                return
            except StoreUnavailable as error:
                if isinstance(error, ChangesLost) or time.monotonic() >= until:
                    raise
                time.sleep(PAUSE_SECONDS)

    def _count(self, portion: Encoded, written: _Written) -> None:
        self.documents += written.documents
        self.unchanged += written.unchanged
        self.left_out += len(portion.documents) - written.documents - written.unchanged
        self.vectors += written.vectors

    def _write(self, portion: Encoded) -> _Written:
        documents = unchanged = count = 0
        with self.store.write() as transaction:
            transaction.use_vectors(self.revision)  # Servers delete those that nothing has used for long.
            transaction.read_versions(document.id for document in portion.documents)
            for document, vectors in zip(portion.documents, portion.vectors, strict=True):
                if transaction.holds(document):
                    version = transaction.version(document.id)
                    transaction.put_vectors(version, vectors, revision=self.revision)
                    unchanged += 1
                elif not self.only_vectors:
                    transaction.put(document, vectors, revision=self.revision)
                    documents += 1
                else:
                    continue
                count += len(vectors.spans)
        return _Written(documents, unchanged, count)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delays Ctrl-C and SIGTERM, so that what is committed is counted; a second one is not delayed."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    arrived: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        if arrived:
            raise KeyboardInterrupt
        arrived.append(number)

    for number in handlers:
        signal.signal(number, remember)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if arrived:
            raise KeyboardInterrupt


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except StoreFull as error:
        raise ExportError(str(error)) from None
