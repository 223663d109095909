"""Reads documents of Parquet files. The columns are the fields of a document, as in JSONL.

Null is as if the field, the language or the attribute was left out. Objects may be structs or maps.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from server.catalogue.document import Document
from server.errors import CatalogueError, first_line
from server.files import is_pipe_or_device

BATCH_ROWS = 256
"""Rows that are read at a time."""

FIELDS = [field.encode_name for field in msgspec.structs.fields(Document)]


def row_groups(path: Path) -> Iterator[tuple[int, int]]:
    """Yields the number of each row group, from 0, and that of its first row, from 1; raises CatalogueError."""
    with _opened(path) as file:
        _check_columns(path, file.schema_arrow.names)
        first = 1
        for group in range(file.num_row_groups):
            yield group, first
            first += file.metadata.row_group(group).num_rows


def read_row_group(path: Path, group: int, *, first: int) -> Iterator[tuple[int, Document]]:
    """Yields the documents of a row group, each with its row's number; `first` is that of the first row.

    Raises CatalogueError, which names the row.
    """
    number = first
    with _opened(path) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group]):
            for row in _rows(path, number, batch):
                try:
                    document = msgspec.convert(_without_nulls(row), Document)
                except msgspec.ValidationError as error:
                    raise CatalogueError(f"{path}, row {number}: {error}; {_advice(str(error))}") from None
                if (name := _not_finite(document)) is not None:
                    raise CatalogueError(f"{path}, row {number}: attribute {name} is not a finite number: leave it out")
                yield number, document
                number += 1


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Opens a file, and translates the errors of reading it."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        if is_pipe_or_device(path):
            raise CatalogueError(f"{path} is not a regular file: write the rows to one")
        # Without `pre_buffer`, which would read a whole row group at once.
        with ParquetFile(path, buffer_size=2**20, pre_buffer=False, page_checksum_verification=True) as file:
            yield file
    except pyarrow.ArrowException as error:
        raise CatalogueError(
            f"{path} is not a Parquet file, or is damaged: write it again ({first_line(error)})"
        ) from None
    except UnicodeDecodeError:
        raise CatalogueError(f"{path} is damaged: the name of a column is not UTF-8: write it again") from None
    except OSError as error:  # pyarrow raises it for damaged pages, too.
        damaged = f"it may be damaged: write it again ({first_line(error)})"
        reason = os.strerror(error.errno) if error.errno else damaged
        raise CatalogueError(f"{path} cannot be read: {reason}") from None


def _check_columns(path: Path, names: list[str]) -> None:
    columns = f"the columns are {', '.join(FIELDS)}"
    if "id" not in names:
        raise CatalogueError(f"{path} has no column id; {columns}")
    for name in names:
        if name not in FIELDS:
            raise CatalogueError(f"{path} has the unknown column {name!r}; {columns}: rename it or leave it out")
    for name in FIELDS:
        if names.count(name) > 1:
            raise CatalogueError(f"{path} has two columns {name}: leave one out")


def _rows(path: Path, number: int, batch: Any) -> list[dict[str, Any]]:
    place = f"{path}, rows {number} to {number + batch.num_rows - 1}"
    try:
        rows: list[dict[str, Any]] = batch.to_pylist(maps_as_pydicts="strict")
    except UnicodeDecodeError:
        raise CatalogueError(f"{place}: a text is not UTF-8: write it as UTF-8") from None
    except KeyError as error:
        raise CatalogueError(f"{place}: a map has a key twice ({first_line(error)})") from None
    except (OverflowError, ValueError) as error:  # Dates outside Python's calendar, structs with a field twice.
        raise CatalogueError(f"{place}: a value cannot be read: {first_line(error)}") from None
    return rows


def _advice(message: str) -> str:
    """Returns what to do about msgspec's message."""
    if "missing" in message:
        return "fill it, or leave the row out"
    return "leave it out" if "got `null`" in message else "convert the column to the expected type"


def _without_nulls(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_nulls(value) if isinstance(value, dict) else _plain(value)
        for name, value in row.items()
        if value is not None
    }


def _plain(value: Any) -> Any:
    """Returns decimals without a fraction in their type as integers, so that too large ones are refused as in JSONL."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)
    return value


def _not_finite(document: Document) -> str | None:
    """Returns the name of the first attribute that JSON cannot hold."""
    for name, value in document.attributes.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, float) and not math.isfinite(each):
                return name
    return None
