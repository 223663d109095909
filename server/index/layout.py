"""How a storage lies in a graph's file, and how vectors become rows.

USearch's file is a header of 8 bytes (the number of rows and the bytes of each, both u32), the rows in the order in
which one thread added them, and the graph behind them. The rows are therefore read from that file, too, and kept once.
A row is what scores come from: of f16 for `f16` and for `i8`, whose graph finds candidates by one byte a number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from server.errors import SnapshotError
from server.index.storage import DTYPE_OF, Storage, to_storage

HEADER_BYTES = 8

METRIC_OF: dict[Storage, Literal["ip", "cos"]] = {"f32": "ip", "f16": "ip", "i8": "cos"}
"""What a graph compares by. Vectors compared by cosine have length 1 already; only in i8 do lengths differ again."""


def row_storage(storage: Storage) -> Storage:
    """Returns how rows are kept."""
    return "f16" if storage == "i8" else storage


def row_dtype(storage: Storage) -> DTypeLike:
    """Returns the type of a row's numbers."""
    return DTYPE_OF[row_storage(storage)]


def row_bytes(storage: Storage, dimension: int) -> int:
    """Returns the bytes of a row."""
    return int(np.dtype(row_dtype(storage)).itemsize) * dimension


def to_graph(rows: NDArray[Any], storage: Storage) -> NDArray[Any]:
    """Returns rows as the graph keeps them."""
    return to_storage(rows.astype(np.float32), storage) if storage == "i8" else rows


def rows_path(graph: Path) -> Path:
    """Returns the file of the rows that belong to a graph in i8."""
    return graph.with_suffix(".rows")


def map_graph(graph: Path, count: int, *, dimension: int, storage: Storage) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Returns the bytes of a graph's file and its rows `[count, dimension]`, mapped, not read.

    Rows of the same file share its mapping: a second one would count, and be filled, twice.
    """
    mapped = np.asarray(np.memmap(graph, dtype=np.uint8, mode="r"))
    if storage == "i8":
        return mapped, np.asarray(np.memmap(rows_path(graph), np.float16, mode="r", shape=(count, dimension)))
    end = HEADER_BYTES + count * row_bytes(storage, dimension)
    return mapped, mapped[HEADER_BYTES:end].view(row_dtype(storage)).reshape(count, dimension)


def graph_files(graph: Path, storage: Storage) -> list[Path]:
    """Returns every file of a graph."""
    return [graph, rows_path(graph)] if storage == "i8" else [graph]


def check_header(graph: Path, count: int, *, dimension: int, storage: Storage) -> None:
    """Raises SnapshotError if a graph's file does not start as one of so many rows does."""
    with graph.open("rb") as file:
        header = np.frombuffer(file.read(HEADER_BYTES), dtype=np.uint32)
    expected = [count, np.dtype(DTYPE_OF[storage]).itemsize * dimension]
    if header.tolist() != expected:
        raise SnapshotError(f"{graph} begins with {header.tolist()}, not with {expected}")
    if storage == "i8" and rows_path(graph).stat().st_size != count * row_bytes(storage, dimension):
        raise SnapshotError(f"{rows_path(graph)} does not hold {count} rows")
