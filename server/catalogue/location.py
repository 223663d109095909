"""The place of a store, as `--data` names it: a directory, or a database of PostgreSQL."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from server.errors import SettingsError

SCHEMES = ("postgresql://", "postgres://")

EXPECTED = "--data: expected a directory, or postgresql://user@host:port/database"

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""The beginning of a URL, also with a slash too few. A directory of this name is written `./name:/…`."""


@dataclass(frozen=True)
class DatabaseUrl:
    """The URL of a database, as libpq reads it. `str` has no password: it is for messages.

    Attributes:
        url: The URL with what is secret in it.
    """

    url: str = field(repr=False)
    name: str

    def __str__(self) -> str:
        return self.name


Location = Path | DatabaseUrl


def text_of(location: Location) -> str:
    """Returns the text that `parse_location` parses, with what is secret in it."""
    return location.url if isinstance(location, DatabaseUrl) else str(location.absolute())


def parse_location(text: str) -> Location:
    """Parses a path, or a URL that begins with `postgresql://`; raises SettingsError, which does not quote the URL."""
    if not text.startswith(SCHEMES):
        if URL.match(text):  # A directory of this name would be made, and documents would be kept in it.
            raise SettingsError(EXPECTED)
        return Path(text)
    try:
        from psycopg import ProgrammingError  # noqa: PLC0415 It is an extra.
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415
    except ImportError:
        raise SettingsError("--data: a database needs psycopg: pip install 'chaja-server[postgresql]'") from None
    try:
        found = conninfo_to_dict(text)
    except ProgrammingError:  # Its message may quote a password.
        raise SettingsError(EXPECTED) from None
    hosts, ports = str(found.get("host") or "localhost"), str(found.get("port") or "5432")
    return DatabaseUrl(text, f"postgresql://{hosts}:{ports}/{found.get('dbname') or found.get('user') or ''}")
