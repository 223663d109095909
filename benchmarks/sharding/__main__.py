"""`make bench-sharding`: checks that shards answer as one index does, also while documents change.

The documents, changes, rules and queries are made up, and need no model. Each query is searched in every mode, without
a filter and with several ones. How it is understood, its result (documents, order, scores, counts, facets, warnings),
the second page in HYBRID mode, and the suggestions for it are compared. The exit code is 1 if any of them differs. The
graphs of shards are not that of one index, so the indexes compare all vectors; the last figures say how much graphs
change.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.sharding.comparing import CHANGED_DOCUMENTS, Comparison, Counts
from benchmarks.sharding.made import FILTERS, Encoder, queries
from loadtest.environment import describe_environment
from server.closed_pipe import until_closed_pipe
from server.ranking.options import Mode

NEVER = 2**31
"""More vectors than an index has."""

CHANGE_EVERY = 5
"""Queries after which a group of documents changes."""

BESIDE_SHARE, OVERLAP_QUERIES = 0.5, 500
"""Share of the queries that are searched beside changes, and queries that compare graphs."""

SHOWN = 5
"""Different answers that are shown."""


def main() -> int:
    """Prints the counts of equal answers; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sharding", description=__doc__)
    parser.add_argument("--documents", type=_positive, default=20_000, metavar="N", help="default: 20000")
    parser.add_argument("--queries", type=_positive, default=2000, metavar="N", help="default: 2000")
    parser.add_argument("--shards", type=_positive, nargs="+", default=[1, 2, 5], metavar="N", help="default: 1 2 5")
    options = parser.parse_args()
    for name, value in describe_environment(" ".join(sys.argv)).items():
        print(f"{name:14} {value}")
    made, encoder = queries(options.queries), Encoder()
    equal = True
    with tempfile.TemporaryDirectory() as folder:
        comparison = _comparison(options, Path(folder), encoder, hnsw_from_vectors=NEVER)
        try:
            print(f"\n{CHANGED_DOCUMENTS} documents change after every {CHANGE_EVERY} queries, each with one filter")
            for (size, mode), own in comparison.compare_changing(made, change_every=CHANGE_EVERY).items():
                equal &= _show(f"{size} shards, {mode.name}", own)
            print("\na thread changes documents meanwhile")
            beside = made[: max(1, int(BESIDE_SHARE * len(made)))]
            for size, own in comparison.compare_beside_changes(beside).items():
                equal &= _show(f"{size} shards", own)
            every = f"{len(made):,} queries × {len(Mode)} modes × {len(FILTERS)} filters"
            print(f"\nwithout changes: {options.documents:,} documents, {every}")
            comparison.measure()
            for cluster in comparison.clusters.values():
                cluster.rounds = 0
            for (size, mode), own in comparison.compare(made).items():
                equal &= _show(f"{size} shards, {mode.name}", own)
            searches = len(made) * len(Mode) * len(FILTERS)
            for size, cluster in comparison.clusters.items():
                print(f"{size} shards: {cluster.rounds / searches:.1f} rounds of messages for a query")
        finally:
            comparison.close()
        comparison = _comparison(options, Path(folder), encoder, hnsw_from_vectors=1)
        try:
            print("\nwith graphs: share of the 10 best documents by vectors that are the same as with one graph")
            for size, share in comparison.overlap(made[:OVERLAP_QUERIES]).items():
                print(f"{size} shards: {share:.4f}")
        finally:
            comparison.close()
    return 0 if equal else 1


def _comparison(options: argparse.Namespace, folder: Path, encoder: Encoder, *, hnsw_from_vectors: int) -> Comparison:
    return Comparison(
        options.shards,
        folder,
        documents=options.documents,
        encoder=encoder,
        hnsw_from_vectors=hnsw_from_vectors,
    )


def _show(name: str, counts: Counts) -> bool:
    gone = f", {counts.gone:,} were for a state that a shard had no longer" if counts.gone else ""
    print(f"{name:20} {counts.equal:,} of {counts.compared:,} answers are equal{gone}", flush=True)
    for different in counts.different[:SHOWN]:
        print(f"  different: {different}")
    return counts.equal == counts.compared > 0


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
