"""Reads queries without labels: one per line, or JSONL with the field `query`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from export.bootstrap.sheets.cells import visible
from export.errors import ExportError
from server.encoding.normalisation import normalised


class _Line(msgspec.Struct):
    query: str


def read_queries(path: Path) -> list[str]:
    """Returns the queries of a file, each once, with single spaces.

    A line that begins with a brace is JSON. Other lines without a visible character are left out.

    Raises:
        ExportError: The file cannot be read, has no queries, or a line is invalid; the error names file and line.
    """
    if path.exists() and not path.is_file():
        raise ExportError(f"{path} is not a regular file: write one query per line to one")
    try:
        # Not at other line ends, which a text in JSON may have.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ExportError(f"{path} is not UTF-8: save it as UTF-8, with one query per line") from None
    found: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        query = normalised(_query_of(line, f"{path}:{number}"))
        if visible(query):
            found[query] = None
    if not found:
        raise ExportError(f"{path} has no queries: write one per line")
    return list(found)


def _query_of(line: str, place: str) -> str:
    if not line.lstrip().startswith("{"):
        return line
    try:
        query = msgspec.json.decode(line, type=_Line).query
    except msgspec.DecodeError as error:
        raise ExportError(f"{place}: {error}; expected an object with the field query") from None
    if not visible(query):
        raise ExportError(f"{place}: query is blank")
    return query
