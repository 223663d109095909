"""`make bench-encode`: measures `python -m export encode` with one worker and with two, and kills one of two.

Ray and PostgreSQL run on this machine; PostgreSQL syncs its log as by default. The time of a run is that of the whole
command, with Ray's start and the check of the documents. The exit code is 1 if a target is missed.
"""

import argparse
import contextlib
import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bulk.measuring import Run, content_digest, encode, write_documents
from benchmarks.serving.figure import Figure, report
from benchmarks.serving.queries import shuffled_queries
from benchmarks.serving.setting import QUERIES
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY
from server.closed_pipe import until_closed_pipe
from server.encoding.manifest import read_manifest
from tests.postgresql import PLACES, Cluster

LEAST_SPEEDUP = 1.7
"""Bound of the documents a second of two workers, against one worker's."""


def main() -> int:
    """Prints every figure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR")
    parser.add_argument("--documents", type=int, default=100_000, metavar="N", help="documents (default: 100000)")
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help="repeats (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to this file")
    options = parser.parse_args()
    if not PLACES:
        parser.error("PostgreSQL is missing: make postgresql")
    environment = {
        **describe_environment(" ".join(sys.argv)),
        "ray": importlib.metadata.version("ray"),
        "documents": f"{options.documents:,}, made from queries of the sample, each with a title and a text",
    }
    for name, value in environment.items():
        print(f"{name:14} {value}")
    with contextlib.closing(Cluster("fsync=on")) as cluster:
        return report(_measured(options, cluster), environment=environment, file=options.json)


def _measured(options: argparse.Namespace, cluster: Cluster) -> Iterator[Figure]:
    bundle = options.bundle.resolve()
    revision = read_manifest(bundle).revision
    one, two, broken = list[Run](), list[Run](), list[Run]()
    differing = []
    loads = []
    with tempfile.TemporaryDirectory() as folder:
        catalogue = write_documents(
            Path(folder) / "documents.jsonl", shuffled_queries(QUERIES), count=options.documents
        )
        for _ in range(options.repeats):
            loads.append(os.getloadavg()[0])
            digests = []
            for workers, kill, runs in ((1, False, one), (2, False, two), (2, True, broken)):
                place = cluster.new_database()
                runs.append(encode(bundle, catalogue, place, workers=workers, kill=kill))
                digests.append(content_digest(place, revision))
            differing.append(sum(each != digests[0] for each in digests))
    note = f"1-minute load before: {', '.join(f'{load:.1f}' for load in loads)}"
    for name, runs in (("one worker", one), ("two workers", two), ("two workers, one killed", broken)):
        rates = [options.documents / run.seconds for run in runs]
        yield Figure(f"{name}: documents encoded and written a second", rates, note=note)
        cpu = [1e3 * run.encoding_cpu_seconds / options.documents for run in runs]
        yield Figure(f"{name}: CPU time of encoding a document", cpu, "{:.2f} ms")
    speedup = [first.seconds / second.seconds for first, second in zip(one, two, strict=True)]
    yield Figure("two workers against one", speedup, "{:.2f} ×", at_least=LEAST_SPEEDUP)
    yield Figure("stores that differ from that of one worker", differing, "{:.0f}", at_most=0)


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
