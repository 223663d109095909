"""Reads data files: JSONL, a JSON array, CSV, or plain text.

A name that ends in `.csv` or `.tsv` means CSV with a header, separated by commas or tabs; one that ends in `.json`,
`.jsonl` or `.ndjson` means an array, or a line each, of objects or texts. Otherwise the first line decides: `{` begins
JSONL or one object, `[` an array of objects or texts, and anything else plain text.
"""

import csv
import errno
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from loadtest.errors import UsageError
from loadtest.results.file import STANDARD_INPUT

DELIMITERS = {".csv": ",", ".tsv": "\t"}
LARGEST_PIPE_BYTES = 256 * 1024 * 1024
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")


class Row(NamedTuple):
    """One row of a data file.

    Attributes:
        where: File and line, or file and place in an array, for errors.
        value: An object, or the text of a line.
    """

    where: str
    value: dict[str, Any] | str


def rows_of(path: Path) -> list[Row]:
    """Returns the rows of a data file; blank lines are left out.

    Raises:
        UsageError: The file cannot be read, or a row is malformed; the message names the row.
    """
    text = text_of(path)  # Read once: it may be a pipe.
    if delimiter := DELIMITERS.get(path.suffix.lower()):
        return _table(path, text, delimiter)
    start, must_be_json = text.lstrip()[:1], path.suffix.lower() in JSON_SUFFIXES
    if start in ("[", "{") and (rows := _document(path, text, must_be_json=must_be_json)) is not None:
        return rows
    lines = [Row(f"{path}:{number}", line) for number, line in lines_of(text)]
    if start != "{" and not must_be_json:
        return lines
    return [Row(where, _parsed(str(line), is_text=start == '"', where=where)) for where, line in lines]


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Yields number and text of each line that is not blank."""
    # Not splitlines(): it also splits at characters such as U+2028, which JSON may contain.
    for number, each in enumerate(text.split("\n"), start=1):
        if stripped := each.strip():
            yield number, stripped


def bytes_of(path: Path) -> bytes:
    """Returns the content of a file, a pipe or a device; raises OSError if it cannot be read, or does not end."""
    with path.open("rb") as file:
        content = file.read(-1 if path.is_file() else LARGEST_PIPE_BYTES + 1)
    if len(content) > LARGEST_PIPE_BYTES and not path.is_file():  # Such as /dev/zero.
        raise OSError(errno.EFBIG, f"more than {LARGEST_PIPE_BYTES:,} bytes, and not a file")
    return content


def text_of(path: Path) -> str:
    """Returns the text of a file, or for `-` that of standard input, without a byte order mark.

    Raises:
        UsageError: The file cannot be read or is not UTF-8; the message names the line.
    """
    try:
        source = Path("/dev/stdin") if path == STANDARD_INPUT else path
        return bytes_of(source).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            line = error.object[: error.start].count(b"\n") + 1
            raise UsageError(f"{path}:{line}: not UTF-8") from None
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path} cannot be read: {reason}") from None


def _parsed(line: str, *, is_text: bool, where: str) -> dict[str, Any] | str:
    """Returns the JSON object, or else the JSON text, of a line; raises UsageError for anything else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not JSON: {error}") from None
    if isinstance(value, dict | str) and isinstance(value, str) == is_text:
        return value
    raise UsageError(f"{where}: expected a JSON {'text' if is_text else 'object'}")


def _document(path: Path, text: str, *, must_be_json: bool) -> list[Row] | None:
    """Returns the rows of a text that is one JSON object or array; `None` if it is neither.

    Unless it must be JSON, an array of anything but objects and texts is plain text, such as the query `[1]`.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if must_be_json and text.lstrip().startswith("["):  # Otherwise it may be JSONL.
            raise UsageError(f"{path}: not JSON: {error}") from None
        return None
    if isinstance(value, dict):
        return [Row(str(path), value)]
    if not must_be_json and not any(isinstance(each, dict | str) for each in value):
        return None
    rows = [Row(f"{path}, element {number}", each) for number, each in enumerate(value, start=1)]
    for where, each in rows:
        if not isinstance(each, dict | str) or isinstance(each, dict) != isinstance(value[0], dict):
            raise UsageError(f"{where}: expected an array of objects, or of texts")
    return rows


def _table(path: Path, text: str, delimiter: str) -> list[Row]:
    """Returns the rows of a CSV file, as objects of texts by the names in its header."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # A payload may be long.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    names: list[str] | None = None
    try:
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if names is None:
                names = [cell.strip() for cell in cells]
                if not all(names) or len(set(names)) < len(names):
                    raise UsageError(f"{where}: the header needs a different name for each column")
                continue
            if len(cells) != len(names):
                raise UsageError(f"{where}: the header has {len(names)} columns, this row {len(cells)}")
            rows.append(Row(where, dict(zip(names, cells, strict=True))))
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: not CSV: {error}") from None
    return rows
