"""`make bench-serving`: measures the server and compares each figure with its target.

Server and generator share all cores of the machine, except for `overload`. Compared figures are measured alternately in
one run; medians are printed. The exit code is 1 if a target is missed.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import onnxruntime

from benchmarks.serving.figure import Figure
from benchmarks.serving.loss import measure_loss
from benchmarks.serving.memory import measure_memory
from benchmarks.serving.metrics import measure_metrics
from benchmarks.serving.peak import Peaks
from benchmarks.serving.pressure import measure_idle, measure_load, measure_overload
from benchmarks.serving.setting import QUERIES, Setting
from benchmarks.serving.starting import measure_start
from benchmarks.serving.swaps import measure_swaps
from benchmarks.serving.throughput import measure_limit, measure_outside, measure_throughput
from benchmarks.serving.understanding import measure_understanding
from benchmarks.serving.writing import measure_writes
from chaja import __version__
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY, ServerEnded
from server.closed_pipe import until_closed_pipe
from server.errors import BundleError

Measurement = Callable[[Setting, Peaks], Iterator[Figure]]

MEASUREMENTS: dict[str, tuple[str, Measurement]] = {
    "throughput": ("Throughput, 128 in flight, all cores", measure_throughput),
    "outside": ("CPU at the peak", measure_outside),
    "load": ("Load below the peak", measure_load),
    "overload": ("Load far beyond the peak", measure_overload),
    "idle": ("One search at a time", measure_idle),
    "understanding": ("Queries understood before they are searched", measure_understanding),
    "writes": ("Documents written during searches", measure_writes),
    "loss": ("Lost searches while bundles are swapped and servers restarted", measure_loss),
    "swaps": ("Bundles swapped during searches", measure_swaps),
    "start": ("Start", measure_start),
    "metrics": ("The cost of the metrics", measure_metrics),
    "memory": ("Memory by the number of documents", measure_memory),
    "limit": ("The limit of one process", measure_limit),
}
"""Title of the figures, and function that measures them, by name."""


def main() -> int:
    """Prints every figure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR")
    parser.add_argument("--queries", type=Path, default=QUERIES, metavar="FILE", help="queries file, as for loadtest")
    parser.add_argument("--only", choices=MEASUREMENTS, action="append", help="measure only this; repeatable")
    parser.add_argument("--seconds", type=int, default=5, metavar="N", help="seconds of each measurement (default: 5)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="repeats (default: 3)")
    requests = "searches of `loss`; also bounds those before `start` measures memory (default: 10000)"
    parser.add_argument("--requests", type=int, default=10_000, metavar="N", help=requests)
    parser.add_argument("--swaps", type=int, default=40, metavar="N", help="swaps of the bundle (default: 40)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to this file")
    options = parser.parse_args()
    setting = Setting(
        bundle=options.bundle.resolve(),
        queries_file=options.queries.resolve(),
        seconds=options.seconds,
        repeats=options.repeats,
        requests=options.requests,
        swaps=options.swaps,
    )
    environment = {
        **describe_environment(" ".join(sys.argv)),
        "server": f"chaja {__version__}, onnxruntime {onnxruntime.__version__}, grpcio {grpc.__version__}",
        "bundle": str(options.bundle),
        "queries": f"{len(setting.queries)} of {options.queries}",
        "measured": f"{setting.repeats} × {setting.seconds} s, alternately; medians",
    }
    for name, value in environment.items():
        print(f"{name:14} {value}")
    try:
        figures = measure(setting, Peaks(setting), options.only or list(MEASUREMENTS))
    except (ServerEnded, BundleError) as error:
        parser.error(str(error))
    if options.json:
        described = {name: [each.described() for each in of] for name, of in figures.items()}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        document = {"environment": environment, "figures": described}
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    missed = [f"{name}: {each.name}" for name, of in figures.items() for each in of if each.missed]
    print(f"\n{len(missed)} targets missed: {'; '.join(missed)}" if missed else "\nevery target was reached")
    return 1 if missed else 0


def measure(setting: Setting, peaks: Peaks, names: list[str]) -> dict[str, list[Figure]]:
    """Measures in the table's order, prints each figure at once, and returns all by measurement."""
    figures: dict[str, list[Figure]] = {}
    for name, (title, measurement) in MEASUREMENTS.items():
        if name not in names:
            continue
        print(f"\n{title} ({name})", flush=True)
        figures[name] = []
        for figure in measurement(setting, peaks):
            print(figure, flush=True)
            figures[name].append(figure)
    return figures


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
