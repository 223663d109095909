"""Builds a graph; `server.vectors.building` runs this program.

    python -m server.vectors.build_process --rows FILE --out FILE --firsts FILE --storage S [--base FILE]

Equal rows share one node: among many nodes of distance 0, HNSW finds no way out. `--firsts` gets the position of the
first equal row of each row. One thread adds the rows, because concurrent adds lose nodes (USearch issue 735). Then the
program searches the file for some of the rows. It ends with its parent.
"""

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from server.child import begin_child
from server.errors import BuildFailed, first_line
from server.vectors.storage import METRIC_OF, STORAGES, Storage, to_graph

CONNECTIVITY = 24
"""Neighbours of a node: HNSW's M."""

EXPANSION_ADD = 200
"""Candidates kept while a row is added: HNSW's efConstruction."""

NICENESS = 15

BLOCK_ROWS = 1024

PROBED_ROWS = 1000
"""Number of rows that a new graph is searched for."""

MIN_REACHABLE = 0.95
"""Share of the probed rows that must be found. HNSW misses a few outliers; a graph that lost nodes misses more."""

TOLERANCE = 1e-3
"""Relative error allowed for the distance of a probe to its nearest row: sums in f32 are rounded."""


def first_equal(rows: NDArray[Any]) -> NDArray[np.int32]:
    """Returns for each row `[N, dimension]` the position of the first row with the same bytes `[N]`."""
    seen: dict[bytes, int] = {}
    digests = (hashlib.blake2b(row, digest_size=16).digest() for row in np.ascontiguousarray(rows))
    found = (seen.setdefault(digest, position) for position, digest in enumerate(digests))
    return np.fromiter(found, np.int32, len(rows))


def build(
    rows: NDArray[Any], firsts: NDArray[np.int32], out: Path, *, storage: Storage, base: Path | None = None
) -> float:
    """Builds the graph of rows `[N, dimension]`, or extends `base`, which holds the first of them.

    A node's key is the position of the first of its equal rows, as in `firsts` `[N]`. Returns the share of probes that
    are found; raises BuildFailed if it is too low or the graph is incomplete.
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
    missing = np.unique(firsts)[len(index) :]
    for start in range(0, len(missing), BLOCK_ROWS):
        keys = missing[start : start + BLOCK_ROWS]
        index.add(keys.astype(np.uint64), np.ascontiguousarray(to_graph(rows[keys], storage)), threads=1)
    index.save(str(out))
    if out.stat().st_size != index.serialized_length:
        raise BuildFailed(f"{out} was not written completely")
    del index  # Frees as much memory as the file is large; the probes use the file.
    reachable = _reachable(Index.restore(str(out), view=True, enable_key_lookups=False), rows, storage)
    if reachable < MIN_REACHABLE:
        raise BuildFailed(f"only {reachable:.3f} of the probed vectors are found in the graph")
    return reachable


def _reachable(index: Any, rows: NDArray[Any], storage: Storage) -> float:
    """Returns the share of probed rows whose search finds the row itself, or another one just as near."""
    probes = np.linspace(0, len(rows) - 1, min(PROBED_ROWS, len(rows))).astype(np.int64)
    found = 0
    for row in rows[probes]:
        own = 0.0 if METRIC_OF[storage] == "cos" else 1 - float(np.square(row.astype(np.float64)).sum())
        nearest = index.search(to_graph(row[None, :], storage)[0], 1, threads=1).distances
        found += len(nearest) > 0 and float(nearest[0]) <= own + TOLERANCE * max(1.0, abs(own))
    return found / len(probes)


def main() -> int:
    """Builds the graph; prints the share of probes found, or the error. Returns the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}.build_process", description=__doc__)
    parser.add_argument("--rows", type=Path, required=True, help="a .npy file")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--firsts", type=Path, required=True, help="the .npy file to write")
    parser.add_argument("--storage", choices=STORAGES, required=True)
    parser.add_argument("--base", type=Path, help="the graph to extend, which holds the first of the rows")
    options = parser.parse_args()
    begin_child(NICENESS)
    try:
        rows = np.load(options.rows, mmap_mode="r")
        firsts = first_equal(rows)
        with options.firsts.open("wb") as file:
            np.save(file, firsts)
        print(f"{build(rows, firsts, options.out, storage=options.storage, base=options.base):.4f}")
    except Exception as error:
        print(first_line(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
