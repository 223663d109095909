"""`make bench-store`: measures the store in SQLite and in PostgreSQL, alternately in one run.

First the store alone, then imports of a server, against the encoder alone. PostgreSQL runs on this machine, with a Unix
socket, and syncs its log as by default. The exit code is 1 if a target is missed.
"""

import argparse
import contextlib
import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import chaja
from benchmarks.serving.documents import new_documents, texts_of, write_queries
from benchmarks.serving.figure import Figure, report
from benchmarks.serving.setting import NO_CACHE, Setting
from benchmarks.serving.writing import BARE_TEXTS, encode_alone, import_documents
from benchmarks.store.measuring import Speed, measure_store
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY
from server.catalogue.location import Location, text_of
from server.catalogue.store import Store
from server.closed_pipe import until_closed_pipe
from tests.postgresql import PLACES, Cluster

NAMES = "SQLite", "PostgreSQL"

STORE_RUNS = 3
"""Runs of the store alone in each repeat: one takes 2 s, and single ones differ by a half."""

MOST_SLOWER = 3.0
"""Bound of the time of a single write in PostgreSQL, against SQLite's."""

LEAST_IMPORT = 0.8
"""Bound of the texts a second of an import, against the encoder's."""


def main() -> int:
    """Prints every figure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR")
    parser.add_argument("--seconds", type=int, default=10, metavar="N", help="seconds of each import (default: 10)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="repeats (default: 3)")
    parser.add_argument("--only", choices=("store", "imports"), help="measure only this")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to this file")
    options = parser.parse_args()
    if not PLACES:
        parser.error("PostgreSQL is missing: make postgresql")
    environment = describe_environment(" ".join(sys.argv))
    for name, value in environment.items():
        print(f"{name:14} {value}")
    with contextlib.closing(Cluster("fsync=on")) as cluster:
        return report(_measured(options, cluster), environment=environment, file=options.json)


def _measured(options: argparse.Namespace, cluster: Cluster) -> Iterator[Figure]:
    setting = Setting(bundle=options.bundle.resolve(), seconds=options.seconds, repeats=options.repeats)
    if options.only in (None, "store"):
        yield from _alone(setting, cluster)
    if options.only in (None, "imports"):
        yield from _imports(setting, cluster)


@contextlib.contextmanager
def _places(cluster: Cluster) -> Iterator[tuple[Location, Location]]:
    """Yields empty places for a store in SQLite and in PostgreSQL."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder), cluster.new_database()


def _alone(setting: Setting, cluster: Cluster) -> Iterator[Figure]:
    speeds: tuple[list[Speed], list[Speed]] = ([], [])
    for _ in range(STORE_RUNS * setting.repeats):
        with _places(cluster) as places:
            for place, found in zip(places, speeds, strict=True):
                with contextlib.closing(Store(place)) as store:
                    found.append(measure_store(store))
    for name, found in zip(NAMES, speeds, strict=True):
        print(f"\n{name}", flush=True)
        yield Figure("one document written, p50", [each.single_ms for each in found], "{:.2f} ms")
        yield Figure("documents written a second, 256 in a transaction", [each.written for each in found], "{:,.0f}")
        yield Figure("documents read a second for the index", [each.followed for each in found], "{:,.0f}")
        yield Figure("one document read, p50", [each.got_ms for each in found], "{:.2f} ms")
    print("\nPostgreSQL against SQLite", flush=True)
    slower = [theirs.single_ms / ours.single_ms for ours, theirs in zip(*speeds, strict=True)]
    yield Figure("one document written, p50", slower, "{:.2f} ×", at_most=MOST_SLOWER)


def _imports(setting: Setting, cluster: Cluster) -> Iterator[Figure]:
    documents = new_documents(setting.queries)
    shares: tuple[list[float], list[float]] = ([], [])
    rates: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory() as folder:
        texts = texts_of(list(itertools.islice(documents, BARE_TEXTS // 2)))
        queries = write_queries(Path(folder) / "queries.jsonl", texts)
        for _ in range(setting.repeats):
            with _places(cluster) as places:
                for place, of_place, share in zip(places, rates, shares, strict=True):
                    flags = ("--data", text_of(place), *NO_CACHE)
                    with setting.server(*flags) as server, chaja.connect(server.address) as client:
                        of_place.append(import_documents(client, documents, seconds=setting.seconds))
                    share.append(of_place[-1] / encode_alone(setting, queries))
    print("\nImports of a server", flush=True)
    for name, rate, share in zip(NAMES, rates, shares, strict=True):
        yield Figure(f"{name}: imported texts a second", rate)
        yield Figure(f"{name}: import against the encoder", share, "{:.2f}", at_least=LEAST_IMPORT)


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
