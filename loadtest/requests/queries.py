"""The queries that requests are made of, read from a file (see `requests.rows` for its formats).

An object has its text in `query` or `text`, and a payload may use its other fields; BEIR's `queries.jsonl` (`_id`,
`text`) is such a file. The rows of a replay have a `timestamp`.
"""

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.errors import UsageError
from loadtest.requests.rows import DELIMITERS, Row, rows_of

TEXT_FIELDS = ("query", "text")
ID_FIELDS = ("_id", "id", "query_id")


@dataclass(frozen=True)
class Query:
    """One row of the file.

    Attributes:
        id: The row's id, or else its number from 0.
        fields: Fields for placeholders; `query` is the text.
        template: A payload that replaces the call's; `None` without one.
    """

    id: str
    fields: Mapping[str, Any]
    template: Any = None


def read_queries(path: Path) -> list[Query]:
    """Returns the queries of a file.

    Raises:
        UsageError: The file cannot be read, is empty, or has a malformed row; the message names the row.
    """
    queries = [_query(row, number=number) for number, row in enumerate(rows_of(path))]
    if not queries:
        raise UsageError(f"{path} has no queries")
    return queries


def read_payloads(path: Path) -> list[Query]:
    """Returns the payloads of a data file, each as the template of a query without fields.

    The empty cells of a CSV file leave their fields unset.

    Raises:
        UsageError: The file cannot be read, is empty, or has a malformed row; the message names the row.
    """
    payloads = []
    for number, (where, value) in enumerate(rows_of(path)):
        if isinstance(value, str):
            raise UsageError(f"{where}: expected a JSON object")
        is_table = path.suffix.lower() in DELIMITERS
        template = {name: cell for name, cell in value.items() if cell or not is_table}
        payloads.append(Query(str(number), {}, template=template))
    if not payloads:
        raise UsageError(f"{path} has no payloads")
    return payloads


def read_timestamps(path: Path) -> list[float]:
    """Returns the timestamps of a replay in seconds: one per line, or the `timestamp` of each object.

    A timestamp is a number of seconds or an ISO 8601 date and time.

    Raises:
        UsageError: The file cannot be read, or a row has no timestamp; the message names the row.
    """
    times = []
    for where, value in rows_of(path):
        try:
            times.append(_seconds(value if isinstance(value, str) else value["timestamp"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise UsageError(f"{where}: expected a timestamp, in seconds or as an ISO 8601 time") from None
    return times


def _query(row: Row, *, number: int) -> Query:
    where, fields = row
    if isinstance(fields, str):
        return Query(str(number), {"query": fields})
    identifier = next((str(fields[name]) for name in ID_FIELDS if name in fields), str(number))
    for name in TEXT_FIELDS:
        if name in fields:
            if not isinstance(fields[name], str):
                raise UsageError(f"{where}: {name} must be a string")
            return Query(identifier, {**fields, "query": fields[name]})
    return Query(identifier, fields)


def _seconds(value: str | float) -> float:
    try:
        seconds = float(value)
    except ValueError:
        return datetime.datetime.fromisoformat(str(value)).timestamp()
    if not math.isfinite(seconds):
        raise ValueError(f"{seconds} is not a finite time")
    return seconds
