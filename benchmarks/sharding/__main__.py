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
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.sharding.comparing import CHANGED_DOCUMENTS, Comparison, Counts
from benchmarks.sharding.made import FILTERS, Encoder, Query, queries
from loadtest.environment import describe_environment
from server.closed_pipe import until_closed_pipe
from server.ranking.options import Mode

NEVER = 2**31
"""More vectors than an index has."""

CHANGE_EVERY = 5
"""Queries after which a group of documents changes."""

OVERLAP_QUERIES = 500
"""Queries that compare graphs."""

SHOWN = 5
"""Different answers that are shown."""


def main() -> int:
    """Prints the counts of equal answers; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sharding", description=__doc__)
    parser.add_argument("--documents", type=_positive, default=20_000, metavar="N", help="default: 20000")
    parser.add_argument("--queries", type=_positive, default=2000, metavar="N", help="default: 2000")
    parser.add_argument("--shards", type=_positive, nargs="+", default=[1, 2, 5], metavar="N", help="default: 1 2 5")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), help="default: all of them")
    options = parser.parse_args()
    for name, value in describe_environment(" ".join(sys.argv)).items():
        print(f"{name:14} {value}")
    print(f"\n{options.documents:,} documents, {options.queries:,} queries")
    made, encoder = queries(options.queries), Encoder()
    equal = True
    with tempfile.TemporaryDirectory() as folder:
        for part in options.only:
            comparison = Comparison(
                options.shards,
                Path(folder),
                documents=options.documents,
                encoder=encoder,
                hnsw_from_vectors=1 if part == "graphs" else NEVER,
            )
            try:
                equal &= PARTS[part](comparison, made)
            finally:
                comparison.close()
    return 0 if equal else 1


def _changing(comparison: Comparison, made: Sequence[Query]) -> bool:
    print(f"\n{CHANGED_DOCUMENTS} documents change after every {CHANGE_EVERY} queries, each with one filter")
    counts = comparison.compare_changing(made, change_every=CHANGE_EVERY)
    return _show({f"{size} shards, {mode.name}": own for (size, mode), own in counts.items()})


def _beside(comparison: Comparison, made: Sequence[Query]) -> bool:
    print("\na thread changes documents meanwhile")
    counts = comparison.compare_beside_changes(made[: -(-len(made) // 2)])
    return _show({f"{size} shards": own for size, own in counts.items()})


def _still(comparison: Comparison, made: Sequence[Query]) -> bool:
    print(f"\nwithout changes: {len(made):,} queries × {len(Mode)} modes × {len(FILTERS)} filters")
    counts = comparison.compare(made)
    equal = _show({f"{size} shards, {mode.name}": own for (size, mode), own in counts.items()})
    for size, cluster in comparison.clusters.items():
        rounds = cluster.rounds / (len(made) * len(Mode) * len(FILTERS))
        print(f"{size} shards: {rounds:.1f} rounds of messages for a query")
    return equal


def _graphs(comparison: Comparison, made: Sequence[Query]) -> bool:
    print("\nwith graphs: share of the 10 best documents by vectors that are the same as with one graph")
    for size, share in comparison.overlap(made[:OVERLAP_QUERIES]).items():
        print(f"{size} shards: {share:.4f}")
    return True


PARTS = {"still": _still, "changing": _changing, "beside": _beside, "graphs": _graphs}


def _show(counts: Mapping[str, Counts]) -> bool:
    """Prints the counts; returns whether all answers are equal."""
    for name, own in counts.items():
        gone = f", {own.gone:,} were for a state that a shard had no longer" if own.gone else ""
        print(f"{name:20} {own.equal:,} of {own.compared:,} answers are equal{gone}", flush=True)
        for different in own.different[:SHOWN]:
            print(f"  different: {different}")
    return all(own.equal == own.compared > 0 for own in counts.values())


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
