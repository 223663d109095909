"""Builds a graph; the program that `server.vectors.building` runs.

    python -m server.vectors.build_process --rows FILE --out FILE --storage S [--base FILE]

One thread adds the rows, because concurrent adds lose nodes (USearch's issue 735). Then some rows are searched for in
the file. The process ends when its standard input does: whoever wanted the graph is gone.
"""

import argparse
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from server.errors import BuildFailed, first_line
from server.vectors.storage import METRIC_OF, STORAGES, Storage, to_graph

CONNECTIVITY = 24
"""Neighbours of a node, HNSW's M."""

EXPANSION_ADD = 200
"""Candidates kept while adding, HNSW's efConstruction."""

NICENESS = 10

BLOCK_ROWS = 1024

PROBES = 1000
"""Rows that are searched for in a graph just built."""

MIN_REACHABLE = 0.95
"""Share of the probes that must be found. In any HNSW a few outliers are not; a graph that lost nodes shows."""

TOLERANCE = 1e-3
"""How much farther than itself a probe's nearest may seem: sums in f32 are rounded."""


def build(rows: NDArray[Any], out: Path, *, storage: Storage, base: Path | None = None) -> float:
    """Builds or extends the graph of rows `[N, dimension]`, those of the base first; returns the share of probes found.

    Raises:
        BuildFailed: The graph is not whole, or too few of the probes are found.
    """
    index: Any  # Not Index: its setters are not typed.
    if base is None:
        index = Index(
            ndim=rows.shape[1],
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
    for start in range(len(index), len(rows), BLOCK_ROWS):
        added = np.ascontiguousarray(to_graph(rows[start : start + BLOCK_ROWS], storage))
        index.add(np.arange(start, start + len(added), dtype=np.uint64), added, threads=1)
    index.save(str(out))
    if out.stat().st_size != index.serialized_length:
        raise BuildFailed(f"{out} was not written whole")
    del index  # It takes as much memory as the file, which is what is probed.
    reachable = _reachable(Index.restore(str(out), view=True, enable_key_lookups=False), rows, storage)
    if reachable < MIN_REACHABLE:
        raise BuildFailed(f"only {reachable:.3f} of the vectors are found in the graph")
    return reachable


def _reachable(index: Any, rows: NDArray[Any], storage: Storage) -> float:
    """Returns the share of probed rows by whose vector they are found, or another that is as near."""
    probes = np.linspace(0, len(rows) - 1, min(PROBES, len(rows))).astype(np.int64)
    found = 0
    for row in rows[probes]:
        own = 0.0 if METRIC_OF[storage] == "cos" else 1 - float(np.square(row.astype(np.float64)).sum())
        nearest = index.search(to_graph(row[None, :], storage)[0], 1, threads=1).distances
        found += len(nearest) > 0 and float(nearest[0]) <= own + TOLERANCE * max(1.0, abs(own))
    return found / len(probes)


def _end_with_parent() -> None:
    os.read(0, 1)  # Not by `sys.stdin`, whose lock a thread must not hold when Python ends.
    os._exit(1)


def main() -> int:
    """Builds; prints the share of probes that were found, or why there is no graph. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m server.vectors.build_process", description=__doc__)
    parser.add_argument("--rows", type=Path, required=True, help="a .npy file")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--storage", choices=STORAGES, required=True)
    parser.add_argument("--base", type=Path, help="the graph to extend, of the first of the rows")
    options = parser.parse_args()
    os.nice(NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        rows = np.load(options.rows, mmap_mode="r")
        print(f"{build(rows, options.out, storage=options.storage, base=options.base):.4f}")
    except Exception as error:
        print(first_line(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
