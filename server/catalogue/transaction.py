"""A transaction of the store: changes that become durable together, and what they mean for those who follow."""

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
import numpy as np

from server.catalogue.changes import Stored
from server.catalogue.checksums import checksum_of
from server.catalogue.document import Document, content_of
from server.catalogue.encoded import Vectors, Versioned
from server.catalogue.schema import query_value

REQUEST_SECONDS = 24 * 3600.0
"""For which a call is remembered by the key of its caller, and an import by its id."""


class Transaction:
    """Changes documents; made by `Store.write`.

    `added` are the new versions, in order; `retired` are the sequences of those that were replaced or deleted.
    """

    def __init__(self, connection: sqlite3.Connection, sequence: int) -> None:
        self._connection = connection
        self._now = time.time()
        self.sequence = sequence
        self.added: list[Versioned] = []
        self.retired: list[int] = []

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Takes back what was changed within the context if it ends with an error; the transaction goes on."""
        before = self.sequence, len(self.added), len(self.retired)
        self._connection.execute("SAVEPOINT together")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # SQLite takes everything back by itself when the disk is full.
                self._connection.execute("ROLLBACK TO together")
                self._connection.execute("RELEASE together")
            self.sequence = before[0]
            del self.added[before[1] :], self.retired[before[2] :]
            raise
        self._connection.execute("RELEASE together")

    def version_of(self, id: str) -> int:
        """Returns the version of a document; 0 if there is none."""
        query = "SELECT sequence FROM documents WHERE id = ? AND retired_seconds IS NULL"
        return int(query_value(self._connection, query, (id,)) or 0)

    def current(self, id: str) -> Stored | None:
        """Returns what is there of a document; None if there is none, or it is damaged and only good to be replaced."""
        row = self._connection.execute(
            "SELECT sequence, content, checksum FROM documents WHERE id = ? AND retired_seconds IS NULL", (id,)
        ).fetchone()
        if row is None or checksum_of(id.encode(), row[1]) != row[2]:
            return None
        return Stored(msgspec.json.decode(row[1], type=Document), row[0])

    def id_of(self, sequence: int) -> str | None:
        """Returns the id of the document that has a version; None if it has not, or not any more."""
        query = "SELECT id FROM documents WHERE sequence = ? AND retired_seconds IS NULL"
        id: str | None = query_value(self._connection, query, (sequence,))
        return id

    def put(self, document: Document, vectors: Vectors, *, revision: str) -> int:
        """Writes a document in the place of the one that has its id; returns its version."""
        self._retire(document.id)
        self._connection.execute("DELETE FROM deletions WHERE id = ?", (document.id,))
        self.sequence += 1
        content = content_of(document)
        self._connection.execute(
            "INSERT INTO documents (sequence, id, checksum, content) VALUES (?, ?, ?, ?)",
            (self.sequence, document.id, checksum_of(document.id.encode(), content), content),
        )
        self.put_vectors(self.sequence, vectors, revision=revision)
        self.added.append(Versioned(self.sequence, document, vectors))
        return self.sequence

    def delete(self, id: str) -> int:
        """Deletes a document that is there; returns the sequence of the deletion."""
        self._retire(id)
        self.sequence += 1
        self._connection.execute("INSERT INTO deletions VALUES (?, ?)", (self.sequence, id))
        return self.sequence

    def put_vectors(self, sequence: int, vectors: Vectors, *, revision: str) -> None:
        """Writes what a model has made of a version of a document; does nothing where that was retired meanwhile."""
        spans = np.ascontiguousarray(vectors.spans, dtype="<i4").tobytes()
        matrix = np.ascontiguousarray(vectors.matrix, dtype="<f4").tobytes()
        self._connection.execute(
            "INSERT OR REPLACE INTO vectors (sequence, revision, spans_checksum, matrix_checksum, spans, matrix) "
            "SELECT sequence, ?, ?, ?, ?, ? FROM documents WHERE sequence = ?",
            (self._number_of(revision), checksum_of(spans), checksum_of(matrix), spans, matrix, sequence),
        )

    def forget_vectors(self, revision: str, *, limit: int) -> int:
        """Deletes up to so many vectors of a model; returns how many there were."""
        return self._connection.execute(
            "DELETE FROM vectors WHERE rowid IN (SELECT rowid FROM vectors WHERE revision = ? LIMIT ?)",
            (self._number_of(revision), limit),
        ).rowcount

    def remember_request(self, request_id: str, digest: bytes, outcomes: bytes) -> None:
        """Keeps the answer to a call, for when it comes again."""
        self._connection.execute("DELETE FROM requests WHERE seconds < ?", (self._now - REQUEST_SECONDS,))
        self._connection.execute(
            "INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?)", (request_id, self._now, digest, outcomes)
        )

    def request_digest(self, request_id: str) -> bytes | None:
        """Returns the digest of the call that had a key; None if none had it."""
        query = "SELECT digest FROM requests WHERE request_id = ?"
        digest: bytes | None = query_value(self._connection, query, (request_id,))
        return digest

    def advance_import(self, import_id: str, position: int) -> None:
        """Notes how many documents of an import have been taken."""
        self._connection.execute("DELETE FROM import_positions WHERE seconds < ?", (self._now - REQUEST_SECONDS,))
        self._connection.execute(
            "INSERT OR REPLACE INTO import_positions VALUES (?, ?, ?)", (import_id, position, self._now)
        )

    def record_file(self, digests: Mapping[str, bytes], gone: Iterable[str]) -> None:
        """Notes what the catalogue's file says of documents, and which it does not speak of any more."""
        self._connection.executemany("INSERT OR REPLACE INTO file_documents VALUES (?, ?)", digests.items())
        self._connection.executemany("DELETE FROM file_documents WHERE id = ?", ((id,) for id in gone))

    def purge(self, sequences: Sequence[int]) -> None:
        """Deletes versions that were retired."""
        rows = [(sequence,) for sequence in sequences]
        self._connection.executemany("DELETE FROM vectors WHERE sequence = ?", rows)
        self._connection.executemany("DELETE FROM documents WHERE sequence = ? AND retired_seconds IS NOT NULL", rows)

    def _retire(self, id: str) -> None:
        rows = self._connection.execute(
            "UPDATE documents SET retired_seconds = ? WHERE id = ? AND retired_seconds IS NULL RETURNING sequence",
            (self._now, id),
        )
        self.retired += [row[0] for row in rows]

    def _number_of(self, revision: str) -> int:
        self._connection.execute("INSERT OR IGNORE INTO revisions (revision) VALUES (?)", (revision,))
        return int(query_value(self._connection, "SELECT number FROM revisions WHERE revision = ?", (revision,)))
