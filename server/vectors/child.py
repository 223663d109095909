"""Builds a graph; the program that `server.vectors.building` runs.

    python -m server.vectors.child --out FILE --dimension N --storage S --count N [--base FILE --base-count N] < ROWS

One thread adds the rows, because concurrent adds lose nodes (USearch's issue 735). Then near ones are brought together,
and what came out is checked: that the file holds the rows as they came, and that rows are found by their own vectors.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numkong
import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from server.errors import BuildFailed, first_line
from server.files import sync
from server.vectors.arranging import arrange
from server.vectors.checksum import file_checksum
from server.vectors.layout import (
    METRIC_OF,
    check_header,
    graph_files,
    graph_rows,
    map_places,
    map_rows,
    row_bytes,
    row_dtype,
    rows_path,
    to_graph,
    unarranged_path,
)
from server.vectors.order import order_of
from server.vectors.storage import STORAGES, Storage

CONNECTIVITY = 24
"""Neighbours of a node, HNSW's M."""

EXPANSION_ADD = 200
"""Nodes that are kept in mind while adding, HNSW's efConstruction."""

NICENESS = 10

BLOCK_ROWS = 1024

PROBES = 1000
"""Rows that are searched for in a graph just built."""

MIN_REACHABLE = 0.95
"""Share of the probes that must be found. In any HNSW a few outliers are not; a graph that lost nodes shows."""

TOLERANCE = 1e-3
"""How much farther than itself a probe's nearest may seem: sums in f32 are rounded."""


def build(
    rows: Iterable[NDArray[Any]],
    out: Path,
    *,
    dimension: int,
    storage: Storage,
    base: Path | None = None,
    base_count: int = 0,
) -> dict[str, Any]:
    """Builds or extends a graph; returns the checksums of its files and the share of probes that were found.

    Raises:
        BuildFailed: The file does not hold the rows as it should, or too few of them are found.
    """
    index: Any  # Not Index: its setters are not typed.
    if base is None:
        index = Index(
            ndim=dimension,
            metric=METRIC_OF[storage],
            dtype=storage,
            connectivity=CONNECTIVITY,
            expansion_add=EXPANSION_ADD,
            enable_key_lookups=False,
        )
    else:
        index = Index.restore(str(base), view=False, enable_key_lookups=False)
        if index is None:
            raise BuildFailed(f"{base} is not a graph")
        index.expansion_add = EXPANSION_ADD
    shape: dict[str, Any] = {"dimension": dimension, "storage": storage}
    checksums = [0, 0] if base is None else _rows_checksums(base, base_count, **shape)
    count = base_count
    unarranged = unarranged_path(out)
    with rows_path(unarranged).open("wb") if storage == "i8" else contextlib.nullcontext() as row_file:
        if row_file is not None and base is not None:
            row_file.write(rows_path(base).read_bytes())
        for block in rows:
            added = np.ascontiguousarray(to_graph(block, storage))
            index.add(np.arange(count, count + len(block), dtype=np.uint64), added, threads=1)
            for number, part in enumerate((added, block) if storage == "i8" else (added,)):
                checksums[number] = zlib.crc32(part.view(np.uint8).data, checksums[number])
            count += len(block)
            if row_file is not None:
                row_file.write(block.data)
    index.save(str(unarranged))
    if unarranged.stat().st_size != index.serialized_length:
        raise BuildFailed(f"{out} was not written whole")
    del index  # As much memory as the file; what is probed is the file.
    _, kept = map_rows(unarranged, count, **shape)
    arrange(unarranged, out, order_of(kept), **shape)
    for path in graph_files(unarranged, storage):
        path.unlink(missing_ok=True)
    check_header(out, count, **shape)
    if _rows_checksums(out, count, **shape) != checksums:
        raise BuildFailed(f"{out} does not hold the rows as they were added")
    mapped, kept = map_rows(out, count, **shape)
    reachable = _reachable(Index.restore(mapped.data, view=True, enable_key_lookups=False), kept, storage)
    if reachable < MIN_REACHABLE:
        raise BuildFailed(f"only {reachable:.3f} of the vectors are found in the graph")
    for path in graph_files(out, storage):
        sync(path)
    of_files = {path.suffix: file_checksum(path) for path in graph_files(out, storage)}
    return {"checksums": of_files, "reachable": reachable}


def _rows_checksums(graph: Path, count: int, *, dimension: int, storage: Storage) -> list[int]:
    """Returns the checksums of a graph's rows, in the order of their positions.

    One is of those that it compares, the other of those that scores come from: 0 where they are the same.
    """
    mapped, kept = map_rows(graph, count, dimension=dimension, storage=storage)
    compared, places = graph_rows(mapped, count), map_places(graph, count)
    checksums = [0, 0]
    for number, rows in enumerate((compared, kept) if storage == "i8" else (compared,)):
        for start in range(0, count, BLOCK_ROWS):
            part = rows[places[start : start + BLOCK_ROWS]]
            checksums[number] = zlib.crc32(part.view(np.uint8).data, checksums[number])
    return checksums


def _reachable(index: Any, rows: NDArray[Any], storage: Storage) -> float:
    """Returns the share of probed rows by whose vector they are found, or another that is as near."""
    probes = np.linspace(0, len(rows) - 1, min(PROBES, len(rows))).astype(np.int64)
    found = 0
    for place in probes.tolist():
        row = np.array(rows[place : place + 1])
        own = 0.0 if METRIC_OF[storage] == "cos" else 1 - np.asarray(numkong.cdist(row, row, "dot")).item()
        nearest = index.search(to_graph(row, storage)[0], 1, threads=1).distances
        found += len(nearest) > 0 and float(nearest[0]) <= own + TOLERANCE * max(1.0, abs(own))
    return found / len(probes)


def _read_rows(file: IO[bytes], count: int, *, dimension: int, storage: Storage) -> Iterator[NDArray[Any]]:
    """Yields blocks of rows as they come.

    Raises:
        BuildFailed: They end early: whoever sent them is gone.
    """
    for start in range(0, count, BLOCK_ROWS):
        wanted = min(BLOCK_ROWS, count - start) * row_bytes(storage, dimension)
        block = file.read(wanted)
        if len(block) < wanted:
            raise BuildFailed("the rows ended early")
        yield np.frombuffer(block, dtype=row_dtype(storage)).reshape(-1, dimension)


def main() -> int:
    """Builds; prints what was built as JSON, or why it was not on standard error. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m server.vectors.child", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dimension", type=int, required=True)
    parser.add_argument("--storage", choices=STORAGES, required=True)
    parser.add_argument("--count", type=int, required=True, help="rows on standard input")
    parser.add_argument("--base", type=Path, help="the graph to extend")
    parser.add_argument("--base-count", type=int, default=0, help="its rows")
    options = parser.parse_args()
    os.nice(NICENESS)
    shape = {"dimension": options.dimension, "storage": options.storage}
    try:
        rows = _read_rows(sys.stdin.buffer, options.count, **shape)
        built = build(rows, options.out, base=options.base, base_count=options.base_count, **shape)
    except Exception as error:
        print(first_line(error), file=sys.stderr)
        return 1
    print(json.dumps(built))
    return 0


if __name__ == "__main__":
    sys.exit(main())
