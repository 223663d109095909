"""Catalogues for the tests of bulk encoding."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow.parquet import ParquetWriter

Row = dict[str, Any]


def rows(count: int, *, start: int = 0) -> list[Row]:
    """Makes documents with a title, a text, examples and attributes, some of them without."""
    made: list[Row] = []
    for number in range(start, start + count):
        row: Row = {"id": f"document {number}", "title": {"ko": f"문서 {number}", "en": f"document {number}"}}
        if number % 3:
            row["text"] = {"ko": f"{number} 번째 문서의 본문입니다. " * (1 + number % 5)}
        if number % 5 == 0:
            row["examples"] = [f"찾아 {number}", f"find {number}"]
        if number % 2:
            row["attributes"] = {"number": number, "share": number / 4, "even": False, "tags": ["a", str(number)]}
        made.append(row)
    return made


def write_jsonl(path: Path, made: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made), encoding="utf-8")
    return path


SCHEMA = pyarrow.schema(
    {
        "id": pyarrow.string(),
        "title": pyarrow.struct({"ko": pyarrow.string(), "en": pyarrow.string()}),
        "text": pyarrow.map_(pyarrow.string(), pyarrow.string()),
        "examples": pyarrow.list_(pyarrow.string()),
        "attributes": pyarrow.struct(
            {
                "number": pyarrow.int64(),
                "share": pyarrow.float64(),
                "even": pyarrow.bool_(),
                "tags": pyarrow.list_(pyarrow.string()),
            }
        ),
    }
)


def write_parquet(path: Path, made: Sequence[Row], *, group_rows: int = 100) -> Path:
    table = pyarrow.Table.from_pylist(list(made), schema=SCHEMA)
    with ParquetWriter(path, SCHEMA) as writer:
        writer.write_table(table, row_group_size=group_rows)
    return path
