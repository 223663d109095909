"""`make bench-suggest`: measures suggestions at 100,000 made-up titles, on one core: the index, then a server.

The exit code is 1 if a target is missed.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.serving.figure import Figure, report
from benchmarks.suggest.measuring import measure
from benchmarks.suggest.serving import measure_serving
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY
from server.closed_pipe import until_closed_pipe


def main() -> int:
    """Prints every figure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suggest", description=__doc__)
    parser.add_argument("--titles", type=int, default=100_000, metavar="N", help="number of titles (default: 100000)")
    parser.add_argument("--calls", type=int, default=3000, metavar="N", help="calls of each kind (default: 3000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to this file")
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", help="bundle of the server")
    parser.add_argument("--seconds", type=int, default=5, help="length of each measurement of the server")
    parser.add_argument("--repeats", type=int, default=3, help="repeats of each of them (default: 3)")
    parser.add_argument("--only", choices=("index", "server"), help="measure only this")
    options = parser.parse_args()
    environment = describe_environment(" ".join(sys.argv))
    for name, value in environment.items():
        print(f"{name:14} {value}")
    print(f"\n{options.titles:,} titles", flush=True)
    return report(_measured(options), environment=environment, file=options.json)


def _measured(options: argparse.Namespace) -> Iterator[Figure]:
    cores = os.sched_getaffinity(0)
    if options.only in (None, "index"):
        os.sched_setaffinity(0, {min(cores)})
        yield from measure(options.titles, options.calls)
        os.sched_setaffinity(0, cores)
    if options.only in (None, "server"):
        yield from measure_serving(options.bundle, options.titles, seconds=options.seconds, repeats=options.repeats)


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
