"""A transaction of the store: changes that become durable together, and the list of changes for the live index."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from server.catalogue.checksums import checksum_of, rule_checksum
from server.catalogue.databases.connection import Connection, query_value, rows_among
from server.catalogue.document import Document, content_of
from server.catalogue.encoded import Vectors, Versioned
from server.catalogue.pending import ABSENT, MOST_BYTES, START, DocumentChange, Live, PendingChanges, Position
from server.catalogue.rules import RuleKind
from server.catalogue.sequences import Gap
from server.errors import ImportTakenOver

REQUEST_SECONDS = 24 * 3600.0
"""Time for which a call is remembered by its request_id, and an import by its id."""


class Transaction:
    """Changes documents and rules. Obtain it from `Store.write`.

    Changes of documents are written together, at the latest by `finish`. Call `read_versions` before changing many.
    `added` has the new versions in order, `retired` the sequences of replaced and deleted versions.
    """

    def __init__(self, connection: Connection, sequence: int, *, now_seconds: float, gap: Gap | None = None) -> None:
        """Continues after `sequence`, or after a gap, which the first change records. `now_seconds` is a Unix time."""
        self._connection = connection
        self._gap = gap
        self._now = now_seconds
        self.sequence = sequence
        self.added: list[Versioned] = []
        self.retired: list[int] = []
        self._pending = PendingChanges()
        self._began = START  # Where the changes within `together` begin.
        self._savepoint_is_due = False  # Before anything is written within `together`.
        self._live: dict[str, Live] = {}

    @property
    def connection(self) -> Connection:
        """The connection, for the tables of other modules; all changes so far are written first."""
        self._write()
        return self._connection

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Rolls back the changes within the context if it ends with an error; the transaction continues.

        Do not nest it.
        """
        before = self.sequence, len(self.added), len(self.retired)
        self._began, self._savepoint_is_due = self._pending.position, True
        try:
            yield
        except BaseException:
            if not self._savepoint_is_due and self._connection.in_transaction:
                # SQLite rolls the whole transaction back if the disk is full.
                self._connection.execute("ROLLBACK TO together")
                self._connection.execute("RELEASE together")
            self._savepoint_is_due = False
            self._pending.undo(self._began)
            self._live = {change.id: change.live for change in self._pending.documents}
            self.sequence = before[0]
            del self.added[before[1] :], self.retired[before[2] :]
            raise
        if not self._savepoint_is_due:
            self._connection.execute("RELEASE together")
        self._savepoint_is_due = False

    def finish(self) -> None:
        """Writes the changes that are not written yet."""
        self._write()

    def read_versions(self, ids: Iterable[str]) -> None:
        """Reads the versions of documents that are about to be changed in one query, instead of one by one."""
        unknown = {id for id in ids if id not in self._live}
        query = "SELECT id, sequence, checksum FROM documents WHERE retired_seconds IS NULL AND id IN"
        found = {row[0]: Live(*row[1:]) for row in rows_among(self._connection, query, unknown)}
        self._live.update((id, found.get(id, ABSENT)) for id in unknown)

    def version(self, id: str) -> int:
        """Returns a document's version, 0 if there is none."""
        return self._live_of(id).version

    def holds(self, document: Document) -> bool:
        """Returns whether the live version of a document is equal to it, and not damaged."""
        live, new = self._live_of(document.id), content_of(document)
        if not live.version or live.checksum != checksum_of(document.id.encode(), new):
            return False
        content = live.content
        if content is None:
            query = "SELECT content FROM documents WHERE sequence = ?"
            content = query_value(self._connection, query, (live.version,))
        return content == new

    def ids_of(self, sequences: Sequence[int]) -> dict[int, str]:
        """Returns the ids of the live documents with these versions, by version, in the same order."""
        query = "SELECT sequence, id, checksum FROM documents WHERE retired_seconds IS NULL AND sequence IN"
        found = {row[0]: row[1:] for row in rows_among(self.connection, query, sequences)}
        self._live.update((id, Live(sequence, checksum)) for sequence, (id, checksum) in found.items())
        return {sequence: found[sequence][0] for sequence in sequences if sequence in found}

    def put(self, document: Document, vectors: Vectors, *, revision: str) -> int:
        """Writes a document, replacing the one with its id; returns its version."""
        content = content_of(document)
        self._advance()
        self._change(document.id, Live(self.sequence, checksum_of(document.id.encode(), content), content))
        self.added.append(Versioned(self.sequence, document, vectors))
        self.put_vectors(self.sequence, vectors, revision=revision)
        return self.sequence

    def delete(self, id: str) -> int:
        """Deletes an existing document; returns the sequence of the deletion."""
        self._advance()
        self._change(id, ABSENT)
        return self.sequence

    def sequences_of(self, ids: Iterable[str]) -> dict[str, int]:
        """Returns the versions of the existing documents among `ids`, by id."""
        ids = list(ids)
        self.read_versions(ids)
        return {id: self._live[id].version for id in ids if self._live[id].version}

    def rule(self, kind: RuleKind, id: str) -> tuple[int, bytes | None]:
        """Returns a rule's version and content; 0 and None if there is none."""
        row = self._connection.execute(
            "SELECT sequence, content FROM rules WHERE kind = ? AND id = ? AND content IS NOT NULL", (kind, id)
        ).fetchone()
        return (0, None) if row is None else (row[0], row[1])

    def rule_ids(self, kind: RuleKind) -> list[str]:
        """Returns the ids of all rules of a kind."""
        return [
            row[0]
            for row in self._connection.execute(
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
        self._pending.add_vectors(sequence, vectors, revision=revision)
        if self._pending.size_bytes > MOST_BYTES:
            self._write()

    def use_vectors(self, revision: str) -> None:
        """Stores that the vectors of a model are used now."""
        self.connection.execute(
            "INSERT INTO revisions (revision, used_seconds) VALUES (?, ?) "
            "ON CONFLICT (revision) DO UPDATE SET used_seconds = excluded.used_seconds",
            (revision, self._now),
        )

    def forget_vectors(self, revision: str, *, limit: int) -> bool:
        """Deletes up to `limit` vectors of a model; returns whether there may be more."""
        number = query_value(self.connection, "SELECT number FROM revisions WHERE revision = ?", (revision,))
        deleted = self._connection.execute(
            "DELETE FROM vectors WHERE revision = ? "
            "AND sequence IN (SELECT sequence FROM vectors WHERE revision = ? LIMIT ?)",
            (number, number, limit),
        ).rowcount
        if deleted:
            return True
        # Another server may have deleted the same ones.
        return query_value(self._connection, "SELECT 1 FROM vectors WHERE revision = ? LIMIT 1", (number,)) is not None

    def remember_request(self, request_id: str, digest: bytes, outcomes: bytes) -> None:
        """Stores the answer to a call, in case the call is repeated."""
        self.connection.execute("DELETE FROM requests WHERE seconds < ?", (self._now - REQUEST_SECONDS,))
        self.connection.execute(
            "INSERT INTO requests (request_id, seconds, digest, outcomes) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (request_id) DO UPDATE "
            "SET seconds = excluded.seconds, digest = excluded.digest, outcomes = excluded.outcomes",
            (request_id, self._now, digest, outcomes),
        )

    def request(self, request_id: str) -> tuple[bytes, bytes] | None:
        """Returns the digest and the outcomes of an answered call; None if the id is unknown."""
        query = "SELECT digest, outcomes FROM requests WHERE request_id = ?"
        row: tuple[bytes, bytes] | None = self._connection.execute(query, (request_id,)).fetchone()
        return row

    def take_import(self, import_id: str, holder: str) -> int:
        """Gives an import to the call `holder`, also from a call of another server; returns its position, or 0."""
        self.connection.execute(
            "INSERT INTO import_positions (import_id, position, seconds, holder) VALUES (?, 0, ?, ?) "
            "ON CONFLICT (import_id) DO UPDATE SET holder = excluded.holder, seconds = excluded.seconds",
            (import_id, self._now, holder),
        )
        return int(
            query_value(self.connection, "SELECT position FROM import_positions WHERE import_id = ?", (import_id,))
        )

    def advance_import(self, import_id: str, position: int, holder: str) -> None:
        """Stores the number of documents of an import that were processed.

        Raises ImportTakenOver if another call than `holder` has taken it since.
        """
        self.connection.execute("DELETE FROM import_positions WHERE seconds < ?", (self._now - REQUEST_SECONDS,))
        advanced = self.connection.execute(
            "INSERT INTO import_positions (import_id, position, seconds, holder) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (import_id) DO UPDATE SET position = excluded.position, seconds = excluded.seconds "
            "WHERE import_positions.holder = excluded.holder",
            (import_id, position, self._now, holder),
        )
        if not advanced.rowcount:
            raise ImportTakenOver

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
        """Deletes retired versions, in one order, so that servers which delete the same ones do not deadlock."""
        rows = [(sequence,) for sequence in sorted(sequences)]
        self.connection.executemany("DELETE FROM documents WHERE sequence = ? AND retired_seconds IS NOT NULL", rows)
        self.connection.executemany("DELETE FROM vectors WHERE sequence = ?", rows)

    def _advance(self) -> None:
        """Moves on to the sequence of the next change."""
        if self._gap is not None and self.sequence < self._gap.last:
            self.connection.execute("INSERT INTO gaps (first, last) VALUES (?, ?)", self._gap)
            self.sequence = self._gap.last
        self.sequence += 1

    def _live_of(self, id: str) -> Live:
        self.read_versions([id])
        return self._live[id]

    def _change(self, id: str, live: Live) -> None:
        """Gives a document its next version, or none, at the present sequence."""
        if replaced := self.version(id):
            self.retired.append(replaced)
        self._pending.add(DocumentChange(self.sequence, id, live, replaced))
        self._live[id] = live

    def _write(self) -> None:
        """Writes the pending changes. Within `together`, a savepoint precedes the first of those made there."""
        if self._savepoint_is_due:
            self._write_until(self._began)
            self._began = START
            self._connection.execute("SAVEPOINT together")
            self._savepoint_is_due = False
        self._write_until(self._pending.position)

    def _write_until(self, end: Position) -> None:
        if end != START:
            self._connection.write_documents(self._pending.rows(end, self._now))
            self._pending.drop(end)
