"""A transaction of the store: changes that become durable together, and the list of changes for the live index."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from server.catalogue.checksums import checksum_of, rule_checksum
from server.catalogue.databases.connection import Connection, query_value
from server.catalogue.document import Document, content_of
from server.catalogue.encoded import Vectors, Versioned
from server.catalogue.rules import RuleKind
from server.catalogue.sequences import Gap, live_sequences_of

REQUEST_SECONDS = 24 * 3600.0
"""Time for which a call is remembered by its request_id, and an import by its id."""


class Transaction:
    """Changes documents and rules. Obtain it from `Store.write`.

    `added` has the new versions in order, `retired` the sequences of replaced and deleted versions. `connection` is for
    the tables of other modules.
    """

    def __init__(self, connection: Connection, sequence: int, *, now_seconds: float, gap: Gap | None = None) -> None:
        """Continues after `sequence`, or after a gap, which the first change records. `now_seconds` is a Unix time."""
        self.connection = connection
        self._gap = gap
        self._now = now_seconds
        self.sequence = sequence
        self.added: list[Versioned] = []
        self.retired: list[int] = []
        self._numbers: dict[str, int] = {}  # Of revisions.

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Rolls back the changes within the context if it ends with an error; the transaction continues."""
        before = self.sequence, len(self.added), len(self.retired)
        self.connection.execute("SAVEPOINT together")
        try:
            yield
        except BaseException:
            if self.connection.in_transaction:  # SQLite rolls the whole transaction back if the disk is full.
                self.connection.execute("ROLLBACK TO together")
                self.connection.execute("RELEASE together")
            self.sequence = before[0]
            self._numbers.clear()
            del self.added[before[1] :], self.retired[before[2] :]
            raise
        self.connection.execute("RELEASE together")

    def current(self, id: str) -> tuple[int, bytes | None]:
        """Returns a document's version, 0 if there is none, and its content, None if it is missing or damaged."""
        row = self.connection.execute(
            "SELECT sequence, content, checksum FROM documents WHERE id = ? AND retired_seconds IS NULL", (id,)
        ).fetchone()
        if row is None:
            return 0, None
        version, content, checksum = row
        return version, content if checksum_of(id.encode(), content) == checksum else None

    def id_of(self, sequence: int) -> str | None:
        """Returns the id of the live document with a version; None if there is none."""
        query = "SELECT id FROM documents WHERE sequence = ? AND retired_seconds IS NULL"
        id: str | None = query_value(self.connection, query, (sequence,))
        return id

    def put(self, document: Document, vectors: Vectors, *, revision: str) -> int:
        """Writes a document, replacing the one with its id; returns its version."""
        self._retire(document.id)
        self._advance()
        content = content_of(document)
        self.connection.execute("DELETE FROM deletions WHERE id = ?", (document.id,))
        self.connection.execute(
            "INSERT INTO documents (sequence, id, checksum, content) VALUES (?, ?, ?, ?)",
            (self.sequence, document.id, checksum_of(document.id.encode(), content), content),
        )
        self.put_vectors(self.sequence, vectors, revision=revision)
        self.added.append(Versioned(self.sequence, document, vectors))
        return self.sequence

    def delete(self, id: str) -> int:
        """Deletes an existing document; returns the sequence of the deletion."""
        self._retire(id)
        self._advance()
        self.connection.execute("INSERT INTO deletions (sequence, id) VALUES (?, ?)", (self.sequence, id))
        return self.sequence

    def sequences_of(self, ids: Iterable[str]) -> dict[str, int]:
        """Returns the versions of the existing documents among `ids`, by id."""
        return live_sequences_of(self.connection, ids)

    def rule(self, kind: RuleKind, id: str) -> tuple[int, bytes | None]:
        """Returns a rule's version and content; 0 and None if there is none."""
        row = self.connection.execute(
            "SELECT sequence, content FROM rules WHERE kind = ? AND id = ? AND content IS NOT NULL", (kind, id)
        ).fetchone()
        return (0, None) if row is None else (row[0], row[1])

    def rule_ids(self, kind: RuleKind) -> list[str]:
        """Returns the ids of all rules of a kind."""
        return [
            row[0]
            for row in self.connection.execute(
                "SELECT id FROM rules WHERE kind = ? AND content IS NOT NULL ORDER BY id", (kind,)
            )
        ]

    def put_rule(self, kind: RuleKind, id: str, content: bytes) -> int:
        """Writes a rule, replacing the one with its id; returns its version."""
        self._advance()
        self.connection.execute(
            "INSERT INTO rules (kind, id, sequence, checksum, content) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (kind, id) DO UPDATE "
            "SET sequence = excluded.sequence, checksum = excluded.checksum, content = excluded.content",
            (kind, id, self.sequence, rule_checksum(kind, id, content), content),
        )
        return self.sequence

    def delete_rule(self, kind: RuleKind, id: str) -> int:
        """Deletes an existing rule; returns the sequence of the deletion."""
        self._advance()
        self.connection.execute(
            "UPDATE rules SET sequence = ?, content = NULL WHERE kind = ? AND id = ?", (self.sequence, kind, id)
        )
        return self.sequence

    def put_vectors(self, sequence: int, vectors: Vectors, *, revision: str) -> None:
        """Writes a model's vectors of a version of a document; does nothing if the version has been purged."""
        spans = np.ascontiguousarray(vectors.spans, dtype="<i4").tobytes()
        matrix = np.ascontiguousarray(vectors.matrix, dtype="<f4").tobytes()
        self.connection.execute(
            "INSERT INTO vectors (sequence, revision, spans_checksum, matrix_checksum, spans, matrix) "
            "SELECT sequence, ?, ?, ?, ?, ? FROM documents WHERE sequence = ? ON CONFLICT (sequence, revision) "
            "DO UPDATE SET spans_checksum = excluded.spans_checksum, matrix_checksum = excluded.matrix_checksum, "
            "spans = excluded.spans, matrix = excluded.matrix",
            (self._number_of(revision), checksum_of(spans), checksum_of(matrix), spans, matrix, sequence),
        )

    def use_vectors(self, revision: str) -> None:
        """Stores that the vectors of a model are used now."""
        self.connection.execute(
            "UPDATE revisions SET used_seconds = ? WHERE number = ?", (self._now, self._number_of(revision))
        )

    def forget_vectors(self, revision: str, *, limit: int) -> int:
        """Deletes up to `limit` vectors of a model; returns their number."""
        number = self._number_of(revision)
        return self.connection.execute(
            "DELETE FROM vectors WHERE revision = ? "
            "AND sequence IN (SELECT sequence FROM vectors WHERE revision = ? LIMIT ?)",
            (number, number, limit),
        ).rowcount

    def remember_request(self, request_id: str, digest: bytes, outcomes: bytes) -> None:
        """Stores the answer to a call, in case the call is repeated."""
        self.connection.execute("DELETE FROM requests WHERE seconds < ?", (self._now - REQUEST_SECONDS,))
        self.connection.execute(
            "INSERT INTO requests (request_id, seconds, digest, outcomes) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (request_id) DO UPDATE "
            "SET seconds = excluded.seconds, digest = excluded.digest, outcomes = excluded.outcomes",
            (request_id, self._now, digest, outcomes),
        )

    def request_digest(self, request_id: str) -> bytes | None:
        """Returns the digest of the call with a request_id; None if it is unknown."""
        query = "SELECT digest FROM requests WHERE request_id = ?"
        digest: bytes | None = query_value(self.connection, query, (request_id,))
        return digest

    def advance_import(self, import_id: str, position: int) -> None:
        """Stores the number of documents of an import that were processed."""
        self.connection.execute("DELETE FROM import_positions WHERE seconds < ?", (self._now - REQUEST_SECONDS,))
        self.connection.execute(
            "INSERT INTO import_positions (import_id, position, seconds) VALUES (?, ?, ?) "
            "ON CONFLICT (import_id) DO UPDATE SET position = excluded.position, seconds = excluded.seconds",
            (import_id, position, self._now),
        )

    def record_file(self, digests: Mapping[str, bytes], gone: Iterable[str]) -> None:
        """Stores the digests of documents in the catalogue file, and deletes those of documents that are gone."""
        self.connection.executemany(
            "INSERT INTO file_documents (id, digest) VALUES (?, ?) "
            "ON CONFLICT (id) DO UPDATE SET digest = excluded.digest",
            digests.items(),
        )
        self.connection.executemany("DELETE FROM file_documents WHERE id = ?", ((id,) for id in gone))

    def record_rule_file(self, kind: RuleKind, digests: Mapping[str, bytes], gone: Iterable[str]) -> None:
        """Stores the digests of rules in the file of a kind, and deletes those of rules that are gone."""
        rows = ((kind, id, digest) for id, digest in digests.items())
        self.connection.executemany(
            "INSERT INTO file_rules (kind, id, digest) VALUES (?, ?, ?) "
            "ON CONFLICT (kind, id) DO UPDATE SET digest = excluded.digest",
            rows,
        )
        self.connection.executemany("DELETE FROM file_rules WHERE kind = ? AND id = ?", ((kind, id) for id in gone))

    def purge(self, sequences: Sequence[int]) -> None:
        """Deletes retired versions."""
        rows = [(sequence,) for sequence in sequences]
        self.connection.executemany("DELETE FROM documents WHERE sequence = ? AND retired_seconds IS NOT NULL", rows)
        self.connection.executemany("DELETE FROM vectors WHERE sequence = ?", rows)

    def _advance(self) -> None:
        """Moves on to the sequence of the next change."""
        if self._gap is not None and self.sequence < self._gap.last:
            self.connection.execute("INSERT INTO gaps (first, last) VALUES (?, ?)", self._gap)
            self.sequence = self._gap.last
        self.sequence += 1

    def _retire(self, id: str) -> None:
        sequence = live_sequences_of(self.connection, [id]).get(id)
        if sequence is not None:
            self.connection.execute(
                "UPDATE documents SET retired_seconds = ? WHERE sequence = ?", (self._now, sequence)
            )
            self.retired.append(sequence)

    def _number_of(self, revision: str) -> int:
        if (number := self._numbers.get(revision)) is None:
            query = "SELECT number FROM revisions WHERE revision = ?"
            found = query_value(self.connection, query, (revision,))
            if found is None:
                insert = (  # Another server may insert it at the same time.
                    "INSERT INTO revisions (revision, used_seconds) VALUES (?, ?) "
                    "ON CONFLICT (revision) DO UPDATE SET used_seconds = excluded.used_seconds RETURNING number"
                )
                found = query_value(self.connection, insert, (revision, self._now))
            number = self._numbers[revision] = int(found)
        return number
