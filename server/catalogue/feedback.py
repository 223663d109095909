"""Feedback: what users did with the hits of searches, kept in the store beside the catalogue, without a sequence.

The keys of users are stored as hashes with a key of the database, and the ids of searches only within the hash of an
event. Events are counted once, and are bounded for each user and day.
"""

import enum
import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from server.catalogue.checksums import WRONG_FEEDBACK, row_checksum
from server.catalogue.databases.connection import Connection, limit_of, query_value
from server.catalogue.sequences import live_sequences_of
from server.catalogue.store import Store
from server.catalogue.transaction import Transaction

HASH_BYTES = 16

DAY_SECONDS = 24 * 3600

MAX_USER_EVENTS = 1000
"""Events of one user that are stored within 24 hours, so that a flood from one key neither fills the disk nor hides
what others did."""

MAX_EVENTS = 2_000_000
"""Events that are stored, in some 500 MB. The oldest ones are deleted first."""

KEY = "feedback_key"
"""The fact that holds the key of the hashes."""

INSERT = (
    'INSERT INTO feedback (event, seconds, "user", query, document, kind, rank, checksum) '
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


class FeedbackKind(enum.IntEnum):
    """The kinds of events. The store has these values: never change them."""

    SHOWN = 1
    CLICKED = 2
    CONVERTED = 3
    REJECTED = 4


class Event(NamedTuple):
    """An act of a user on one hit of a search.

    Attributes:
        search_id: Id of the search.
        query: The query as it was typed, normalised.
        rank: Place of the hit, from 1; 0 if unknown.
        user_key: Key of the user, which is stored as a hash.
    """

    search_id: str
    query: str
    document_id: str
    kind: FeedbackKind
    user_key: str
    rank: int = 0


class Recorded(enum.Enum):
    """The result of recording an event."""

    STORED = enum.auto()
    KNOWN = enum.auto()
    UNKNOWN_DOCUMENT = enum.auto()
    TOO_MANY = enum.auto()


class Evidence(NamedTuple):
    """The acts of one user on a document that a query found, in all searches. `user` is a hash."""

    query: str
    document_id: str
    user: bytes
    clicked: bool
    converted: bool
    rejected: bool
    rank: float


class Promotion(NamedTuple):
    """An example query that was added to a document because users confirmed it.

    `users` is the number of users who confirmed it then, `seconds` the time in seconds since 1970.
    """

    document_id: str
    example: str
    users: int
    seconds: int = 0


class FeedbackLog:
    """The feedback of a store. All methods block; any thread may use them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def now_seconds(self) -> float:
        """Returns the Unix time that events get; see `Store.now_seconds`."""
        return self._store.now_seconds()

    def record(self, calls: Sequence[Sequence[Event]]) -> list[list[Recorded]]:
        """Stores the events of calls together; returns the result of each event. Raises StoreFull."""
        now = int(self.now_seconds())
        with self._store.write() as transaction:
            connection = transaction.connection
            key = _key(connection)
            users = {event.user_key: _hash(key, event.user_key) for events in calls for event in events}
            ids = {event.document_id for events in calls for event in events}
            known = set(live_sequences_of(connection, ids))
            count = 'SELECT count(*) FROM feedback WHERE "user" = ? AND seconds > ?'
            counts = Counter(
                {user: query_value(connection, count, (user, now - DAY_SECONDS)) for user in users.values()}
            )

            def record(event: Event) -> Recorded:
                if event.document_id not in known:
                    return Recorded.UNKNOWN_DOCUMENT
                user = users[event.user_key]
                identity = _hash(key, event.search_id, event.document_id, str(event.kind), event.user_key)
                if query_value(connection, "SELECT 1 FROM feedback WHERE event = ?", (identity,)) is not None:
                    return Recorded.KNOWN
                if counts[user] >= MAX_USER_EVENTS:
                    return Recorded.TOO_MANY
                counts[user] += 1
                row = (identity, now, user, event.query, event.document_id, int(event.kind), event.rank)
                connection.execute(INSERT, (*row, row_checksum(*row)))
                return Recorded.STORED

            return [[record(event) for event in events] for events in calls]

    def erase_user(self, user_key: str) -> int:
        """Deletes the events of a user; returns their number."""
        with self._store.write() as transaction:
            user = _hash(_key(transaction.connection), user_key)
            return transaction.connection.execute('DELETE FROM feedback WHERE "user" = ?', (user,)).rowcount

    def erase_before(self, seconds: float, *, limit: int = -1) -> int:
        """Deletes events before a time in seconds since 1970, at most `limit` unless negative; returns their number."""
        with self._store.reading() as connection:
            oldest = query_value(connection, "SELECT min(seconds) FROM feedback")
        if oldest is None or oldest >= seconds:
            return 0
        with self._store.write() as transaction:
            return transaction.connection.execute(
                "DELETE FROM feedback WHERE rowid IN (SELECT rowid FROM feedback WHERE seconds < ? LIMIT ?)",
                (seconds, limit_of(limit)),
            ).rowcount

    def erase_excess(self, *, limit: int) -> int:
        """Deletes the oldest events above `MAX_EVENTS`, at most `limit`; returns their number."""
        with self._store.reading() as connection:
            # Rows are in the order of their arrival: to count them would read them all.
            first, last = connection.execute("SELECT min(rowid), max(rowid) FROM feedback").fetchone()
        if first is None or last - first < MAX_EVENTS:
            return 0
        with self._store.write() as transaction:
            end = min(last - MAX_EVENTS, first + limit - 1)
            return transaction.connection.execute("DELETE FROM feedback WHERE rowid <= ?", (end,)).rowcount

    def evidence(self) -> Iterator[Evidence]:
        """Yields what users did with hits, except that they were shown, ordered by query."""
        query = (
            'SELECT query, document, "user", max(CASE WHEN kind = ? THEN 1 ELSE 0 END), '
            "max(CASE WHEN kind = ? THEN 1 ELSE 0 END), max(CASE WHEN kind = ? THEN 1 ELSE 0 END), "
            "CAST(coalesce(avg(nullif(rank, 0)), 0) AS DOUBLE PRECISION) "
            'FROM feedback WHERE kind <> ? GROUP BY query, document, "user" ORDER BY query, document, "user"'
        )
        kinds = FeedbackKind.CLICKED, FeedbackKind.CONVERTED, FeedbackKind.REJECTED, FeedbackKind.SHOWN
        with self._store.snapshot() as connection, connection.stream(query, kinds) as rows:
            for text, id, user, clicked, converted, rejected, rank in rows:
                yield Evidence(text, id, user, bool(clicked), bool(converted), bool(rejected), rank)

    def shown(self) -> dict[tuple[str, str], int]:
        """Returns the number of users to whom a query showed a document, by query and document id."""
        query = 'SELECT query, document, count(DISTINCT "user") FROM feedback WHERE kind = ? GROUP BY query, document'
        with self._store.reading() as connection:
            return {(text, id): users for text, id, users in connection.execute(query, (FeedbackKind.SHOWN,))}

    def queries(self) -> dict[str, int]:
        """Returns the queries of all events, each with its number of users."""
        query = 'SELECT query, count(DISTINCT "user") FROM feedback GROUP BY query ORDER BY query'
        with self._store.reading() as connection:
            return dict(connection.execute(query))

    def users_by_document(self, since: float) -> dict[str, int]:
        """Returns how many users have clicked each document, or converted on it, since a time in seconds since 1970."""
        query = (
            'SELECT document, count(DISTINCT "user") FROM feedback WHERE seconds >= ? AND kind IN (?, ?) '
            "GROUP BY document"
        )
        with self._store.reading() as connection:
            return dict(connection.execute(query, (since, FeedbackKind.CLICKED, FeedbackKind.CONVERTED)))

    def promotions(self, *, after: tuple[str, str] = ("", ""), limit: int = -1) -> list[Promotion]:
        """Returns promotions ordered by document and example, at most `limit` unless negative.

        Raises DatabaseDamaged.
        """
        query = (
            "SELECT document, example, users, seconds, checksum FROM promotions "
            "WHERE (document, example) > (?, ?) ORDER BY document, example LIMIT ?"
        )
        with self._store.reading() as connection:
            rows = connection.execute(query, (*after, limit_of(limit))).fetchall()
        if any(row_checksum(id, text, seconds, users) != checksum for id, text, users, seconds, checksum in rows):
            raise self._store.damaged(WRONG_FEEDBACK)
        return [Promotion(*row[:4]) for row in rows]


def record_promotions(transaction: Transaction, promotions: Iterable[Promotion]) -> None:
    """Stores promotions."""
    rows = [(each.document_id, each.example, each.seconds, each.users) for each in promotions]
    transaction.connection.executemany(
        "INSERT INTO promotions (document, example, seconds, users, checksum) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (document, example) "
        "DO UPDATE SET seconds = excluded.seconds, users = excluded.users, checksum = excluded.checksum",
        [(*row, row_checksum(*row)) for row in rows],
    )


def forget_promotions(transaction: Transaction, promotions: Iterable[Promotion]) -> None:
    """Deletes promotions."""
    keys = [(each.document_id, each.example) for each in promotions]
    transaction.connection.executemany("DELETE FROM promotions WHERE document = ? AND example = ?", keys)


def _key(connection: Connection) -> bytes:
    """Returns the key of the hashes, which is made at the first use."""
    connection.execute(
        "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", (KEY, secrets.token_hex(32))
    )
    return bytes.fromhex(query_value(connection, "SELECT value FROM facts WHERE name = ?", (KEY,)))


def _hash(key: bytes, *texts: str) -> bytes:
    """Returns the keyed hash of texts, which is different for any other texts."""
    content = b"".join(len(encoded).to_bytes(4) + encoded for encoded in (text.encode() for text in texts))
    return hashlib.blake2b(content, key=key, digest_size=HASH_BYTES).digest()
