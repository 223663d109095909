"""How a storage lies in a graph's file, and how vectors become rows.

USearch's file has the rows and the graph behind them (`server.vectors.arranging` says how). The rows are therefore read
from that file, too, and kept once. A row is what scores come from: of f16 for `f16` and for `i8`, whose graph finds
candidates by one byte a number. Rows do not lie in the order of their positions: a file beside them says at which place
each of them is.
"""

from __future__ import annotations

import contextlib
import mmap
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from server.errors import SnapshotError
from server.vectors.storage import DTYPE_OF, Storage, to_storage

HEADER_BYTES = 8

METRIC_OF: dict[Storage, Literal["ip", "cos"]] = {"f32": "ip", "f16": "ip", "i8": "cos"}
"""What a graph compares by. Vectors compared by cosine have length 1 already; only in i8 do lengths differ again."""


def row_storage(storage: Storage) -> Storage:
    """Returns how rows are kept."""
    return "f16" if storage == "i8" else storage


def row_dtype(storage: Storage) -> DTypeLike:
    """Returns the type of a row's numbers."""
    return DTYPE_OF[row_storage(storage)]


def graph_rows(mapped: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Returns the rows that a graph compares, by place: their bytes `[count, width]`, of those of its file."""
    width = int(mapped[4:HEADER_BYTES].view(np.uint32)[0])
    return mapped[HEADER_BYTES : HEADER_BYTES + count * width].reshape(count, width)


def row_bytes(storage: Storage, dimension: int) -> int:
    """Returns the bytes of a row."""
    return int(np.dtype(row_dtype(storage)).itemsize) * dimension


def to_graph(rows: NDArray[Any], storage: Storage) -> NDArray[Any]:
    """Returns rows as the graph keeps them."""
    return to_storage(rows.astype(np.float32), storage) if storage == "i8" else rows


def rows_path(graph: Path) -> Path:
    """Returns the file of the rows that belong to a graph in i8."""
    return graph.with_suffix(".rows")


def unarranged_path(graph: Path) -> Path:
    """Returns the file of a graph whose rows lie as they were added."""
    return graph.with_name(f"{graph.stem}-unarranged{graph.suffix}")


def places_path(graph: Path) -> Path:
    """Returns the file that says at which place the row of each position is, a u32 each."""
    return graph.with_suffix(".places")


def map_graph(graph: Path) -> NDArray[np.uint8]:
    """Returns the content of a graph's file, mapped, not read.

    In huge pages, where the file system has them: a search reads all over the file, and looks fewer pages up. What is
    not in memory is then read megabytes at a time.

    Raises:
        OSError: There is no such file.
        ValueError: It is empty.
    """
    mapped = _map(graph)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # A kernel without them.
            mapped.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(mapped, dtype=np.uint8)


def map_places(graph: Path, count: int) -> NDArray[np.uint32]:
    """Returns the place of each position's row, `[count]`, mapped, not read."""
    return np.frombuffer(_map(places_path(graph)), dtype=np.uint32, count=count)


def map_rows(graph: Path, count: int, *, dimension: int, storage: Storage) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Returns the bytes of a graph's file and its rows `[count, dimension]` by place, mapped, not read.

    Rows of the same file share its mapping: a second one would count, and be filled, twice.
    """
    mapped = map_graph(graph)
    if storage == "i8":
        rows = np.frombuffer(_map(rows_path(graph)), dtype=np.float16, count=count * dimension)
        return mapped, rows.reshape(count, dimension)
    return mapped, graph_rows(mapped, count).view(row_dtype(storage))


def graph_files(graph: Path, storage: Storage) -> list[Path]:
    """Returns every file of a graph."""
    return [graph, places_path(graph), *([rows_path(graph)] if storage == "i8" else [])]


def check_header(graph: Path, count: int, *, dimension: int, storage: Storage) -> None:
    """Raises SnapshotError if a graph's file does not start as one of so many rows does."""
    with graph.open("rb") as file:
        header = np.frombuffer(file.read(HEADER_BYTES), dtype=np.uint32)
    expected = [count, np.dtype(DTYPE_OF[storage]).itemsize * dimension]
    if header.tolist() != expected:
        raise SnapshotError(f"{graph} begins with {header.tolist()}, not with {expected}")
    if storage == "i8" and rows_path(graph).stat().st_size != count * row_bytes(storage, dimension):
        raise SnapshotError(f"{rows_path(graph)} does not hold {count} rows")
    if places_path(graph).stat().st_size != count * np.dtype(np.uint32).itemsize:
        raise SnapshotError(f"{places_path(graph)} does not hold {count} places")


def _map(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
