"""The rows of the table of settings: their flags and environment variables, for the parser and the documents."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, NamedTuple

from server.settings import Settings

PREFIX = "CHAJA_"
"""Prefix of the environment variables."""


class SettingRow(NamedTuple):
    """A row of the table, as `--help` and the documents show it. A default of None means required, "" optional."""

    name: str
    parse: Callable[[str], Any]
    help: str
    default: str | None
    metavar: str

    @property
    def flag(self) -> str:
        """The flag, such as `--max-limit`."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable, such as `CHAJA_MAX_LIMIT`."""
        return PREFIX + self.name.upper()


def setting_rows() -> list[SettingRow]:
    """Returns the table in declaration order."""
    return [SettingRow(row.name, **row.metadata) for row in fields(Settings)]
