"""Documents and vectors that several tests write into the store."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from server.catalogue.databases.postgresql.connection import PostgresqlConnection
from server.catalogue.databases.postgresql.losses import record_loss
from server.catalogue.document import Document
from server.catalogue.encoded import Vectors
from server.catalogue.location import DatabaseUrl
from server.catalogue.store import Store

REVISION = "one"


def document(id: str, title: str = "환율") -> Document:
    return Document(id=id, title={"ko": title}, attributes={"n": 1})


def vectors(value: float = 1.0, count: int = 1) -> Vectors:
    return Vectors(
        np.array([[number, 0, 5] for number in range(count)], dtype=np.int32),
        np.full((count, 4), value, dtype=np.float32),
    )


def put(store: Store, *ids: str, title: str = "환율", revision: str = REVISION) -> list[int]:
    with store.write() as transaction:
        return [transaction.put(document(id, title), vectors(), revision=revision) for id in ids]


def execute(store: Store, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Runs a statement on the database of a store, with the connection that writes; returns its rows."""
    with store.write() as transaction:
        found = transaction.connection.execute(sql, parameters)
        return found.fetchall() if sql.startswith(("SELECT", "PRAGMA")) else []


def lose(url: DatabaseUrl, first: int, last: int = 0) -> None:
    """Records that a log has lost changes, from `first` to `last`, as a server does that has seen them."""
    with contextlib.closing(PostgresqlConnection(url)) as connection:
        record_loss(connection, last or first, first=first)


def directory_of(store: Store) -> Path:
    """Returns the directory of a store in SQLite."""
    assert isinstance(store.location, Path)
    return store.location
