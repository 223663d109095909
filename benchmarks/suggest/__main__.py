"""`make bench-suggest`: measures the index of completions at 100,000 made-up titles, on one core.

The exit code is 1 if a target is missed.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from benchmarks.suggest.measuring import measure
from loadtest.environment import describe_environment
from server.closed_pipe import until_closed_pipe


def main() -> int:
    """Prints every figure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suggest", description=__doc__)
    parser.add_argument("--titles", type=int, default=100_000, metavar="N", help="number of titles (default: 100000)")
    parser.add_argument("--calls", type=int, default=3000, metavar="N", help="calls of each kind (default: 3000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to this file")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    environment = describe_environment(" ".join(sys.argv))
    for name, value in environment.items():
        print(f"{name:14} {value}")
    print(f"\n{options.titles:,} titles", flush=True)
    figures = []
    for figure in measure(options.titles, options.calls):
        print(figure, flush=True)
        figures.append(figure)
    missed = [figure.name for figure in figures if figure.missed]
    print(f"\n{len(missed)} targets missed: {'; '.join(missed)}" if missed else "\nevery target was reached")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        document = {"environment": environment, "figures": [figure.described() for figure in figures]}
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
