"""The store: documents, their vectors and the rules in a database, and the sequence of their changes.

The store is the source of truth; the live index follows it. A change is durable when its `Transaction` has ended
without an error; otherwise no part of it is kept. One thread writes at a time. Many threads may read at the same time,
each with its own connection. All methods block.
"""

import contextlib
import logging
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from server.catalogue.changes import Change, Stored
from server.catalogue.checksums import checksum_of, wrong_checksum
from server.catalogue.databases.connection import Connection, query_value
from server.catalogue.databases.opening import open_database
from server.catalogue.document import Document
from server.catalogue.encoded import Vectors, Versioned
from server.catalogue.location import Location
from server.catalogue.partial import Fields, read_document
from server.catalogue.patience import Patience
from server.catalogue.rows import LIVE, DocumentRow, VectorRow, live_row, rows_within, spans_of
from server.catalogue.rules import RuleKind, StoredRule, read_rules
from server.catalogue.sequences import gap_around, live_sequences_of
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

T = TypeVar("T")


class Store:
    """The documents of one database.

    Attributes:
        location: Its directory, or the URL of its database.
        id: Unique id of this database, so that snapshots of another database are detected.
        is_shared: Whether several servers may use it at the same time.
    """

    def __init__(self, location: Location, *, durable: bool = True, serving: bool = True) -> None:
        """Opens the store, or makes it in a directory.

        If `durable`, writes survive a crash of the machine. If `serving`, a small store in a directory is verified
        first, and its replaced versions are purged. Only one process may write to a directory, see `locked`. Raises
        StoreError; if it is DatabaseDamaged, its message says how to repair the database.
        """
        self.location = location
        self._database = open_database(location, durable=durable, serving=serving)
        self._patience = Patience()
        self.id, self.is_shared = self._database.id, self._database.is_shared
        if serving and not self.is_shared:
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    def interrupt(self) -> None:
        """Ends all waiting for a database that does not answer; see `Database.interrupt`."""
        self._patience.close()
        self._database.interrupt()

    def close(self) -> None:
        """Closes the connections. Do not read or write afterwards."""
        self._patience.close()
        self._database.close()

    def __len__(self) -> int:
        with self.reading() as connection:
            return int(query_value(connection, "SELECT count(*) FROM documents WHERE retired_seconds IS NULL"))

    @property
    def sequence(self) -> int:
        """Sequence of the last change; 0 if there is none. It never repeats (docs/store.md)."""
        return self._database.sequence

    def refresh(self) -> None:
        """Looks for changes of other servers, and for lost ones; see `Database.refresh`."""
        self._database.refresh()

    def wait_for_change(self, seconds: float) -> int:
        """Waits for a change of another server; see `Database.wait_for_change`."""
        return self._database.wait_for_change(seconds)

    def alone(self, work: str) -> AbstractContextManager[bool]:
        """Yields whether no other process does this work on the store now, and keeps others from it meanwhile."""
        return self._database.alone(work)

    def now_seconds(self) -> float:
        """Returns the Unix time, by the clock that all servers of the store share."""
        return self._database.now_seconds()

    def verify(self) -> None:
        """Reads the whole database; raises DatabaseDamaged if something is not as it was written."""
        self._database.verify()

    def write(self) -> AbstractContextManager[Transaction]:
        """Begins a transaction. At its end its changes are durable and visible to readers; after StoreFull none is."""
        return self._database.write()

    def maintenance(self) -> AbstractContextManager[Transaction]:
        """Begins a transaction that makes no change with a sequence: it stores vectors, or deletes what is unused."""
        return self._database.maintenance()

    def reading(self) -> AbstractContextManager[Connection]:
        """Yields a connection to read with."""
        return self._database.reading()

    def patiently(self, read: Callable[[], T]) -> T:
        """Returns the result of a read, and repeats it while the database is away; see `Patience`."""
        return self._patience.read(read)

    def snapshot(self) -> AbstractContextManager[Connection]:
        """Yields a connection to read one state with; see `Database.snapshot`."""
        return self._database.snapshot()

    def damaged(self, reason: str) -> DatabaseDamaged:
        """Returns the error of a store that is damaged for a reason."""
        return self._database.damaged(reason)

    def _prepare(self) -> None:
        if self._database.size_bytes() <= CHECKED_BYTES:
            self.verify()
        try:
            while self.purge(limit=READ_ROWS, everything=True):
                pass
        except StoreFull as error:  # The store can still be read. A later purge deletes the versions.
            log.warning("%s", error)

    def purge(self, *, limit: int, everything: bool = False) -> int:
        """Deletes up to `limit` versions retired `RETIRED_SECONDS` ago, or all if `everything`; returns the number."""
        before = math.inf if everything else self._database.now_seconds() - RETIRED_SECONDS
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT sequence FROM documents WHERE retired_seconds < ? LIMIT ?", (before, limit)
            ).fetchall()
        if rows:
            with self.maintenance() as transaction:
                transaction.purge([row[0] for row in rows])
        return len(rows)

    def get(self, id: str, fields: Fields | None = None) -> Stored | None:
        """Returns the document with an id, or some of its fields; None if there is none."""
        with self.reading() as connection:
            row = live_row(connection, id)
            return None if row is None else Stored(self._document(row, fields), row[0])

    def versioned(self, ids: Sequence[str], revision: str) -> dict[str, Versioned]:
        """Returns the existing documents among `ids`, by id, with the vectors of one model."""
        found = {}
        with self.reading() as connection:
            for id in ids:
                row = connection.execute(f"{LIVE} d.id = ?", (revision, id)).fetchone()
                if row is not None:
                    # A damaged document counts as missing: the caller is about to replace it.
                    with contextlib.suppress(DatabaseDamaged):
                        found[id] = self._version(row)
        return found

    def fetch(
        self, sequences: Sequence[int], revision: str, fields: Fields | None = None
    ) -> dict[int, tuple[Document, NDArray[np.int32]]]:
        """Returns versions of documents, or some of their fields, and the spans of their vectors, by sequence.

        Versions that were purged or are not encoded are missing. It waits while the database is away.
        """
        if not sequences:
            return {}
        query = (
            "SELECT d.sequence, d.id, d.content, d.checksum, v.spans, v.spans_checksum FROM documents d "  # noqa: S608
            "JOIN vectors v ON v.sequence = d.sequence JOIN revisions r ON r.number = v.revision "
            f"WHERE r.revision = ? AND d.sequence IN ({', '.join('?' * len(sequences))})"
        )

        def read() -> list[Any]:
            with self.reading() as connection:
                return connection.execute(query, (revision, *sequences)).fetchall()

        rows = self.patiently(read)
        found = {}
        for row in rows:
            self._compare(row[5], checksum_of(row[4]), row[0])
            found[row[0]] = self._document(row[:4], fields), spans_of(row[4])
        return found

    def has_sequence(self, sequence: int) -> bool:
        """Returns whether the store has had this sequence: clients that have seen it have seen no other changes."""
        if sequence > self.sequence:
            self.refresh()
        with self.reading() as connection:
            return sequence <= self.sequence and gap_around(connection, sequence) is None

    def unused_revisions(self, seconds: float) -> list[str]:
        """Returns the revisions of models whose vectors no server has used for some seconds."""
        before = self._database.now_seconds() - seconds
        with self.reading() as connection:
            return [
                row[0] for row in connection.execute("SELECT revision FROM revisions WHERE used_seconds < ?", (before,))
            ]

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
        query = f"{LIVE} d.sequence > ? ORDER BY d.sequence LIMIT ?"
        while True:
            with self.snapshot() as connection:
                rows = rows_within(connection, query, (revision, sequence, READ_ROWS), max_bytes=READ_BYTES)
            found = [self._version(row) for row in rows]
            if not found:
                return
            yield from found
            sequence = rows[-1][0]

    def log(self, after_sequence: int, revision: str) -> Generator[Versioned | Change, None, None]:
        """Yields the changes after a sequence in their order, all of one state: documents, and deletions as `Change`.

        Documents have the vectors of one model. Of each document, only the last change is known.
        """
        query = (
            "SELECT d.sequence, d.id, d.content, d.checksum, v.spans, v.matrix, v.spans_checksum, v.matrix_checksum "
            "FROM documents d LEFT JOIN vectors v "
            "ON v.sequence = d.sequence AND v.revision = (SELECT number FROM revisions WHERE revision = ?) "
            "WHERE d.sequence > ? AND d.retired_seconds IS NULL "
            "UNION ALL SELECT sequence, id, NULL, NULL, NULL, NULL, NULL, NULL FROM deletions WHERE sequence > ? "
            "ORDER BY 1"
        )
        with (
            self.snapshot() as connection,
            connection.stream(query, (revision, after_sequence, after_sequence)) as rows,
        ):
            for row in rows:
                if row[2] is None:
                    yield Change(row[0], row[1], None)
                else:
                    yield Versioned(row[0], self._document(row[:4]), self._vectors(row[4:], row[0]))

    def page(
        self,
        after_id: str,
        limit: int,
        *,
        among: NDArray[np.int64] | None = None,
        fields: Fields | None = None,
    ) -> list[Stored]:
        """Returns up to `limit` documents after an id, or some of their fields, ordered by id.

        It returns fewer if they exceed READ_BYTES, but none only if there are no more. With `among` it returns only
        these versions, also those that have been replaced or deleted in the last `RETIRED_SECONDS`.
        """
        found: list[Stored] = []
        left_bytes = READ_BYTES
        query, ids = "SELECT sequence, id FROM documents WHERE retired_seconds IS NULL AND id > ? ", [after_id]
        if among is not None:  # Apart from the others: an index has the live ones in their order.
            query += "UNION ALL SELECT sequence, id FROM documents WHERE retired_seconds IS NOT NULL AND id > ? "
            ids *= 2
        with self.snapshot() as connection, connection.stream(query + "ORDER BY id", ids) as rows:
            while len(found) < limit and (portion := rows.fetchmany(READ_ROWS if among is not None else limit)):
                sequences = np.array([row[0] for row in portion], dtype=np.int64)
                if among is not None:
                    sequences = sequences[np.isin(sequences, among)]
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
        with self.snapshot() as connection:
            rows = rows_within(connection, query, (after_sequence, after_sequence, limit), max_bytes=max_bytes)
        return [Change(row[0], row[1], None if row[2] is None else self._document(row, fields)) for row in rows]

    def has_rules_after(self, sequence: int) -> bool:
        """Returns whether a rule has changed since a sequence."""
        with self.reading() as connection:
            return query_value(connection, "SELECT 1 FROM rules WHERE sequence > ? LIMIT 1", (sequence,)) is not None

    def rules(self, kind: RuleKind, *, after_id: str = "", limit: int = -1) -> list[StoredRule]:
        """Returns rules of a kind after an id, ordered by id, at most `limit` unless that is negative."""
        with self.reading() as connection:
            rows = read_rules(connection, kind, after_id=after_id, limit=limit)
        if wrong := next((rule for rule, is_right in rows if not is_right), None):
            raise self.damaged(wrong_checksum(wrong.version))
        return [rule for rule, _ in rows]

    def request(self, request_id: str) -> tuple[bytes, bytes] | None:
        """Returns the digest and the outcomes of an answered call; None if the id is unknown."""
        with self.reading() as connection:
            query = "SELECT digest, outcomes FROM requests WHERE request_id = ?"
            row: tuple[bytes, bytes] | None = connection.execute(query, (request_id,)).fetchone()
            return row

    def take_import(self, import_id: str, holder: str) -> int:
        """Gives an import to the call `holder`; returns the number of its documents that were processed."""
        with self.maintenance() as transaction:
            return transaction.take_import(import_id, holder)

    def file_digests(self) -> dict[str, bytes]:
        """Returns the digest of each document in the catalogue file as last imported, by id."""
        with self.reading() as connection:
            return dict(connection.execute("SELECT id, digest FROM file_documents"))

    def rule_file_digests(self, kind: RuleKind) -> dict[str, bytes]:
        """Returns the digest of each rule in the file of a kind as last imported, by id."""
        with self.reading() as connection:
            return dict(connection.execute("SELECT id, digest FROM file_rules WHERE kind = ?", (kind,)))

    def _version(self, row: Any) -> Versioned:
        """Returns a version from a row of `LIVE`."""
        return Versioned(row[0], self._document(row[:4]), self._vectors(row[4:], row[0]))

    def _document(self, row: DocumentRow, fields: Fields | None = None) -> Document:
        sequence, id, content, checksum = row
        self._compare(checksum, checksum_of(id.encode(), content), sequence)
        return read_document(content, fields)

    def _vectors(self, row: VectorRow, sequence: int) -> Vectors | None:
        spans, matrix, of_spans, of_matrix = row
        if spans is None or matrix is None:
            return None
        self._compare(of_spans, checksum_of(spans), sequence)
        self._compare(of_matrix, checksum_of(matrix), sequence)
        read = spans_of(spans)
        return Vectors(read, np.frombuffer(matrix, dtype="<f4").reshape(len(read), -1))

    def _compare(self, stored: int | None, computed: int, sequence: int) -> None:
        if stored != computed:
            raise self.damaged(wrong_checksum(sequence))
