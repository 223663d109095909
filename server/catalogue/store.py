"""The store: documents, their vectors and the rules in SQLite, and the sequence of their changes.

The store is the source of truth; the live index follows it. A change is durable when its `Transaction` has ended
without an error; otherwise no part of it is kept. One thread writes at a time. Many threads may read at the same time,
each with its own connection. All methods block.
"""

import contextlib
import logging
import math
import sqlite3
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.catalogue.acknowledged import UNKNOWN, identity_of, read_acknowledged, write_acknowledged
from server.catalogue.changes import Change, Stored
from server.catalogue.checksums import checksum_of, wrong_checksum
from server.catalogue.database import DATABASE, bring_up_to_date, check, connect, damaged, translated
from server.catalogue.document import Document
from server.catalogue.encoded import Vectors, Versioned
from server.catalogue.partial import Fields, read_document
from server.catalogue.rules import RuleKind, StoredRule, read_rules
from server.catalogue.schema import query_value
from server.catalogue.sequences import Gap, gap_after, is_in_gap, last_sequence, live_sequences_of
from server.catalogue.transaction import Transaction
from server.errors import DatabaseDamaged, StoreFull

log = logging.getLogger(__name__)

RETIRED_SECONDS = 60.0
"""Time for which searches that have found a replaced version can still fetch it."""

CHECKED_BYTES = 2**28
"""Size up to which a database is verified at the start."""

READ_ROWS = 1000
READ_BYTES = 4 * 2**20
"""Rows, and bytes of documents as JSON, that are read at a time if there may be many. A larger document is read
alone."""

DocumentRow = tuple[int, str, bytes, int]
"""Sequence, id, content and checksum of a version of a document."""


class Store:
    """The documents of one directory.

    Attributes:
        id: Unique id of this database, so that snapshots of another database are detected.
        sequence: Sequence of the last change; 0 if there is none. It never repeats (docs/store.md).
    """

    def __init__(self, directory: Path, *, durable: bool = True, serving: bool = True) -> None:
        """Opens the store, or makes it.

        If `durable`, writes survive a crash of the machine. If `serving`, a small store is verified first, and replaced
        versions are purged. Raises StoreError; if it is DatabaseDamaged, its message names the newest backup.
        """
        self.directory = directory
        self._durable = durable
        self._connections: list[sqlite3.Connection] = []
        self._idle: deque[sqlite3.Connection] = deque()
        self._writing = threading.Lock()
        # Read before the database, since another process may write both, and before anything changes the database.
        acknowledged, identity = read_acknowledged(directory), identity_of(directory / DATABASE)
        self._serving = False
        self._gap: Gap | None = None
        try:
            self._writer = self._connect()
            with translated(directory):
                bring_up_to_date(self._writer, directory)
                self.id = self._identity()
                self.sequence = last_sequence(self._writer)
                if acknowledged.database not in (None, identity):  # It is a copy.
                    self._gap = gap_after(self.sequence, self._writer)
            if self.sequence < acknowledged.sequence:
                reason = f"it ends with change {self.sequence}, but change {acknowledged.sequence} was acknowledged"
                raise damaged(directory, reason)
            if serving:
                self._serving = True
                self._acknowledge()
                if self.size_bytes <= CHECKED_BYTES:
                    self.verify()
                try:
                    while self.purge(limit=READ_ROWS, everything=True):
                        pass
                except StoreFull as error:  # The store can still be read. A later purge deletes the versions.
                    log.warning("%s", error)
        except BaseException as error:
            self.close()
            # The store's statements fail only if its tables have been altered.
            if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
                raise damaged(directory, str(error)) from None
            raise

    def close(self) -> None:
        """Closes the files. Do not read or write afterwards."""
        for connection in self._connections:
            connection.close()
        if self._serving:
            self._acknowledge()  # The last connection has changed the database.

    def __len__(self) -> int:
        with self.reading() as connection:
            return int(query_value(connection, "SELECT count(*) FROM documents WHERE retired_seconds IS NULL"))

    @property
    def size_bytes(self) -> int:
        """Size of the database."""
        with self.reading() as connection:
            return int(query_value(connection, "PRAGMA page_count") * query_value(connection, "PRAGMA page_size"))

    def verify(self) -> None:
        """Reads the whole database; raises DatabaseDamaged if a page, a row or a table is not as it was written."""
        with self.reading() as connection:
            check(connection, self.directory)

    @contextlib.contextmanager
    def write(self) -> Iterator[Transaction]:
        """Begins a transaction. At its end its changes are durable and visible to readers; after StoreFull none is."""
        with self._writing, translated(self.directory):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                transaction = Transaction(self._writer, self.sequence, gap=self._gap)
                yield transaction
                self._writer.execute("COMMIT")
            except BaseException:
                # SQLite rolls some failures back automatically.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            self.sequence = transaction.sequence
            if self._gap is not None and self.sequence > self._gap.last:
                self._gap = None
            self._acknowledge()

    def purge(self, *, limit: int, everything: bool = False) -> int:
        """Deletes up to `limit` versions retired `RETIRED_SECONDS` ago, or all if `everything`; returns the number."""
        before = math.inf if everything else time.time() - RETIRED_SECONDS
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT sequence FROM documents WHERE retired_seconds < ? LIMIT ?", (before, limit)
            ).fetchall()
        if rows:
            with self.write() as transaction:
                transaction.purge([row[0] for row in rows])
        return len(rows)

    def get(self, id: str, fields: Fields | None = None) -> Stored | None:
        """Returns the document with an id, or some of its fields; None if there is none."""
        with self.reading() as connection:
            row = _live_row(connection, id)
            return None if row is None else Stored(self._document(row, fields), row[0])

    def versioned(self, ids: Sequence[str], revision: str) -> dict[str, Versioned]:
        """Returns the existing documents among `ids`, by id, with the vectors of one model."""
        found = {}
        with self.reading() as connection:
            for id in ids:
                if (row := _live_row(connection, id)) is not None:
                    # A damaged document counts as missing: the caller is about to replace it.
                    with contextlib.suppress(DatabaseDamaged):
                        vectors = self._vectors(connection, row[0], revision)
                        found[id] = Versioned(row[0], self._document(row), vectors)
        return found

    def fetch(
        self, sequence: int, revision: str, fields: Fields | None = None
    ) -> tuple[Document, NDArray[np.int32]] | None:
        """Returns a version of a document, or some of its fields, and the spans of its vectors.

        Returns None if the version was purged or is not encoded.
        """
        with self.reading() as connection:
            row = connection.execute(
                "SELECT d.sequence, d.id, d.content, d.checksum, v.spans, v.spans_checksum "
                "FROM documents d JOIN vectors v "
                "ON v.sequence = d.sequence JOIN revisions r ON r.number = v.revision "
                "WHERE d.sequence = ? AND r.revision = ?",
                (sequence, revision),
            ).fetchone()
            if row is None:
                return None
            self._compare(row[5], checksum_of(row[4]), sequence)
            return self._document(row[:4], fields), _spans(row[4])

    def has_sequence(self, sequence: int) -> bool:
        """Returns whether the store has had this sequence: clients that have seen it have seen no other changes."""
        with self.reading() as connection:
            return sequence <= self.sequence and not is_in_gap(connection, sequence)

    def revisions(self) -> set[str]:
        """Returns the revisions of the models whose vectors were stored."""
        with self.reading() as connection:
            return {row[0] for row in connection.execute("SELECT revision FROM revisions")}

    def live_sequences(self) -> NDArray[np.int64]:
        """Returns the sequences of the live documents, ascending."""
        with self.reading() as connection:
            rows = connection.execute("SELECT sequence FROM documents WHERE retired_seconds IS NULL")
            sequences = np.fromiter((row[0] for row in rows), dtype=np.int64)
        return np.sort(sequences)

    def sequences_of(self, ids: Iterable[str]) -> dict[str, int]:
        """Returns the sequences of the existing documents among `ids`, by id."""
        with self.reading() as connection:
            return live_sequences_of(connection, ids)

    def after(self, sequence: int, revision: str) -> Iterator[Versioned]:
        """Yields the live documents that have changed since a sequence, in the order of their changes.

        They are read in portions: a document that changes meanwhile is yielded again later.
        """
        query = (
            "SELECT sequence, id, content, checksum FROM documents "
            "WHERE sequence > ? AND retired_seconds IS NULL ORDER BY sequence LIMIT ?"
        )
        while True:
            with self.reading() as connection:
                rows = _rows(connection, query, (sequence, READ_ROWS), max_bytes=READ_BYTES)
                found = [
                    Versioned(row[0], self._document(row), self._vectors(connection, row[0], revision)) for row in rows
                ]
            if not found:
                return
            yield from found
            sequence = rows[-1][0]

    def page(
        self,
        after_id: str,
        limit: int,
        *,
        among: Callable[[], NDArray[np.int64]] | None = None,
        fields: Fields | None = None,
    ) -> list[Stored]:
        """Returns up to `limit` documents after an id, or some of their fields, ordered by id.

        It returns fewer if they exceed READ_BYTES, but none only if there are no more. With `among` it returns only
        these sequences. `among` is called once. Changes that are made after its call do not affect the page.
        """
        found: list[Stored] = []
        left_bytes = READ_BYTES
        select = "SELECT sequence FROM documents WHERE retired_seconds IS NULL AND id > ? ORDER BY id"
        with self.reading() as connection, contextlib.closing(connection.execute(select, (after_id,))) as rows:
            wanted = None if among is None else among()  # `execute` has read a row: SQLite keeps this state.
            while len(found) < limit and (portion := rows.fetchmany(READ_ROWS if wanted is not None else limit)):
                sequences = np.array(portion, dtype=np.int64)[:, 0]
                if wanted is not None:
                    sequences = sequences[np.isin(sequences, wanted)]
                for sequence in sequences[: limit - len(found)].tolist():
                    row = connection.execute(
                        "SELECT sequence, id, content, checksum FROM documents WHERE sequence = ?", (sequence,)
                    ).fetchone()
                    if row is None:  # It has been deleted and purged since the first query.
                        continue
                    left_bytes -= len(row[2])
                    if left_bytes < 0 and found:
                        return found
                    found.append(Stored(self._document(row, fields), sequence))
        return found

    def changes(
        self, after_sequence: int, limit: int, *, max_bytes: int = READ_BYTES, fields: Fields | None = None
    ) -> list[Change]:
        """Returns up to `limit` changes after a sequence, with some fields of the documents or all.

        It returns fewer if the documents exceed `max_bytes`, but at least one if there is one. Only the last change of
        each document is known.
        """
        query = (
            "SELECT sequence, id, content, checksum FROM documents WHERE sequence > ? AND retired_seconds IS NULL "
            "UNION ALL SELECT sequence, id, NULL, NULL FROM deletions WHERE sequence > ? ORDER BY sequence LIMIT ?"
        )
        with self.reading() as connection:
            rows = _rows(connection, query, (after_sequence, after_sequence, limit), max_bytes=max_bytes)
        return [Change(row[0], row[1], None if row[2] is None else self._document(row, fields)) for row in rows]

    def rules(self, kind: RuleKind, *, after_id: str = "", limit: int = -1) -> list[StoredRule]:
        """Returns rules of a kind after an id, ordered by id, at most `limit` unless that is negative."""
        with self.reading() as connection:
            rows = read_rules(connection, kind, after_id=after_id, limit=limit)
        if wrong := next((rule for rule, is_right in rows if not is_right), None):
            raise damaged(self.directory, wrong_checksum(wrong.version))
        return [rule for rule, _ in rows]

    def request(self, request_id: str) -> tuple[bytes, bytes] | None:
        """Returns the digest and the outcomes of an answered call; None if the id is unknown."""
        with self.reading() as connection:
            query = "SELECT digest, outcomes FROM requests WHERE request_id = ?"
            row: tuple[bytes, bytes] | None = connection.execute(query, (request_id,)).fetchone()
            return row

    def import_position(self, import_id: str) -> int:
        """Returns the number of documents of an import that were processed."""
        with self.reading() as connection:
            query = "SELECT position FROM import_positions WHERE import_id = ?"
            return int(query_value(connection, query, (import_id,)) or 0)

    def file_digests(self) -> dict[str, bytes]:
        """Returns the digest of each document in the catalogue file as last imported, by id."""
        with self.reading() as connection:
            return dict(connection.execute("SELECT id, digest FROM file_documents"))

    def rule_file_digests(self, kind: RuleKind) -> dict[str, bytes]:
        """Returns the digest of each rule in the file of a kind as last imported, by id."""
        with self.reading() as connection:
            return dict(connection.execute("SELECT id, digest FROM file_rules WHERE kind = ?", (kind,)))

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self.directory, durable=self._durable)
        self._connections.append(connection)
        return connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yields a connection to read with."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            with translated(self.directory):
                yield connection
        except BaseException:
            # The error may hold a cursor, with which the next reader would see an old state.
            self._connections.remove(connection)
            connection.close()
            raise
        self._idle.append(connection)

    def _identity(self) -> str:
        id = query_value(self._writer, "SELECT value FROM facts WHERE name = 'id'")
        if id is None:
            id = uuid.uuid4().hex
            self._writer.execute("INSERT INTO facts VALUES ('id', ?)", (id,))
        return str(id)

    def _acknowledge(self) -> None:
        # Until the first change records the gap, the next start must detect the copy again.
        identity = UNKNOWN if self._gap is not None else identity_of(self.directory / DATABASE)
        write_acknowledged(self.directory, self.sequence, identity)

    def _document(self, row: DocumentRow, fields: Fields | None = None) -> Document:
        sequence, id, content, checksum = row
        self._compare(checksum, checksum_of(id.encode(), content), sequence)
        return read_document(content, fields)

    def _vectors(self, connection: sqlite3.Connection, sequence: int, revision: str) -> Vectors | None:
        row = connection.execute(
            "SELECT v.spans, v.matrix, v.spans_checksum, v.matrix_checksum "
            "FROM vectors v JOIN revisions r ON r.number = v.revision WHERE v.sequence = ? AND r.revision = ?",
            (sequence, revision),
        ).fetchone()
        if row is None:
            return None
        self._compare(row[2], checksum_of(row[0]), sequence)
        self._compare(row[3], checksum_of(row[1]), sequence)
        spans = _spans(row[0])
        return Vectors(spans, np.frombuffer(row[1], dtype="<f4").reshape(len(spans), -1))

    def _compare(self, stored: int, computed: int, sequence: int) -> None:
        if stored != computed:
            raise damaged(self.directory, wrong_checksum(sequence))


def _live_row(connection: sqlite3.Connection, id: str) -> DocumentRow | None:
    query = "SELECT sequence, id, content, checksum FROM documents WHERE id = ? AND retired_seconds IS NULL"
    row: DocumentRow | None = connection.execute(query, (id,)).fetchone()
    return row


def _rows(connection: sqlite3.Connection, query: str, parameters: Sequence[object], *, max_bytes: int) -> list[Any]:
    """Returns the first rows of a query whose third column, the content, has `max_bytes` in all; at least one row."""
    found: list[Any] = []
    with contextlib.closing(connection.execute(query, parameters)) as rows:
        for row in rows:
            max_bytes -= len(row[2] or b"")
            if max_bytes < 0 and found:
                break
            found.append(row)
    return found


def _spans(stored: bytes) -> NDArray[np.int32]:
    return np.frombuffer(stored, dtype="<i4").reshape(-1, 3)
