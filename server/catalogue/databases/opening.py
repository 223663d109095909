"""Opens the database at a location."""

from pathlib import Path

from server.catalogue.databases.interface import Database
from server.catalogue.databases.sqlite import SqliteDatabase
from server.catalogue.location import Location


def open_database(location: Location, *, durable: bool, serving: bool) -> Database:
    """Opens the database; see `Store`. Raises StoreError."""
    if isinstance(location, Path):
        return SqliteDatabase(location, durable=durable, serving=serving)
    from server.catalogue.databases.postgresql.database import PostgresqlDatabase  # noqa: PLC0415 It is an extra.

    return PostgresqlDatabase(location, durable=durable)
