"""The queries that requests are made of, read from a file.

The first line decides the format: plain text with one query per line, or JSONL with one object per line. An object
has its text in `query` or `text`, and a payload may use its other fields; BEIR's `queries.jsonl` (`_id`, `text`) is
such a file. The lines of a replay have a `timestamp`.
"""

import datetime
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.errors import UsageError

TEXT_FIELDS = ("query", "text")
ID_FIELDS = ("_id", "id", "query_id")


@dataclass(frozen=True)
class Query:
    """One line of the file.

    Attributes:
        id: The line's id, or else its number from 0.
        fields: Fields for placeholders; `query` is the text.
    """

    id: str
    fields: Mapping[str, Any]


def read_queries(path: Path) -> list[Query]:
    """Returns the queries of a file.

    Raises:
        UsageError: The file cannot be read, is empty, or has a malformed line; the message names the line.
    """
    queries: list[Query] = []
    is_json = False
    for number, line in lines_of(path):
        if not queries:
            is_json = line.startswith("{")
            _refuse_array(line, path)
        if is_json:
            queries.append(_from_json(line, number=len(queries), where=f"{path}:{number}"))
        else:
            queries.append(Query(str(len(queries)), {"query": line}))
    if not queries:
        raise UsageError(f"{path} has no queries")
    return queries


def read_payloads(path: Path) -> list[Query]:
    """Returns the payloads of a data file with one JSON object per line, each as the `payload` of a query.

    Raises:
        UsageError: The file cannot be read, is empty, or has a malformed line; the message names the line.
    """
    payloads: list[dict[str, Any]] = []
    for number, line in lines_of(path):
        if not payloads:
            _refuse_array(line, path)
        payloads.append(object_of(line, where=f"{path}:{number}"))
    if not payloads:
        raise UsageError(f"{path} has no payloads")
    return [Query(str(number), {"payload": payload}) for number, payload in enumerate(payloads)]


def read_timestamps(path: Path) -> list[float]:
    """Returns the timestamps of a replay in seconds: one per line, or the `timestamp` of each JSON object.

    A timestamp is a number of seconds or an ISO 8601 date and time.

    Raises:
        UsageError: The file cannot be read, or a line has no timestamp; the message names the line.
    """
    times = []
    for number, line in lines_of(path):
        value: Any = line
        if line.startswith("{"):
            value = object_of(line, where=f"{path}:{number}").get("timestamp")
        try:
            times.append(_seconds(value))
        except (TypeError, ValueError, OverflowError):
            raise UsageError(f"{path}:{number}: expected a timestamp, in seconds or as an ISO 8601 time") from None
    return times


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yields number and text of each line that is not blank."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line}: not UTF-8") from None
    # Not splitlines(): it also splits at characters such as U+2028, which JSON may contain.
    for number, each in enumerate(text.split("\n"), start=1):
        if stripped := each.strip():
            yield number, stripped


def object_of(line: str, *, where: str) -> dict[str, Any]:
    """Returns the JSON object of a line; raises UsageError for anything else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected a JSON object")
    return value


def _refuse_array(first_line: str, path: Path) -> None:
    """Raises UsageError if a file is a JSON array of objects or strings: its lines would be sent as queries."""
    if not first_line.startswith("["):
        return
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        return
    if any(isinstance(each, dict | str) for each in values):
        raise UsageError(f"{path} is a JSON array; write one object per line: jq -c '.[]' {path} > new.jsonl")


def _from_json(line: str, *, number: int, where: str) -> Query:
    fields = object_of(line, where=where)
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
