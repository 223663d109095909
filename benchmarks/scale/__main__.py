"""`make bench-index`: measures the dense index at 1,000, 10,000, 100,000 and, with `--most 1000000`, a million vectors.

Indexes are built once and kept in a folder. All other figures are measured every time, each size in a separate process.
The exit code is 1 if a target is missed.
"""

import argparse
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.scale.made import make
from benchmarks.scale.measuring import measure
from benchmarks.scale.vectors import Source
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY
from server.closed_pipe import until_closed_pipe
from server.vectors.storage import STORAGES

SIZES = (1_000, 10_000, 100_000, 1_000_000)


def main() -> int:
    """Prints every figure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR")
    parser.add_argument("--most", type=int, default=100_000, metavar="N", help="largest size (default: 100000)")
    parser.add_argument("--only", type=int, metavar="N", help="measure only this size")
    parser.add_argument("--storage", choices=STORAGES, default="f16")
    parser.add_argument("--kept", type=Path, default=REPOSITORY / "build/scale", metavar="DIR", help="built indexes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to this file")
    options = parser.parse_args()
    environment = {
        **describe_environment(" ".join(sys.argv)),
        "index": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("usearch", "numkong")),
        "vectors": f"{options.storage}, made from texts of the sample; one per document",
    }
    if options.only:
        figures = {options.only: measure_size(options)}
    else:
        for name, value in environment.items():
            print(f"{name:14} {value}")
        figures = {size: measure_apart(options, size) for size in SIZES if size <= options.most}
    missed = [f"{size}: {each['name']}" for size, of in figures.items() for each in of if each.get("missed")]
    if not options.only:
        print(f"\n{len(missed)} targets missed: {'; '.join(missed)}" if missed else "\nevery target was reached")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        document = {"environment": environment, "figures": figures}
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if missed else 0


def measure_size(options: argparse.Namespace) -> list[dict[str, object]]:
    """Measures one size in this process and prints each figure at once."""
    print(f"\n{options.only:,} vectors", flush=True)
    source = Source(options.bundle, options.kept)
    made = make(source, options.kept, options.only, options.storage)
    figures = []
    with tempfile.TemporaryDirectory(dir=options.kept) as folder:
        for figure in measure(source, made, options.only, options.storage, Path(folder)):
            print(figure, flush=True)
            figures.append(figure.described())
    return figures


def measure_apart(options: argparse.Namespace, size: int) -> list[dict[str, object]]:
    """Measures one size in a separate process, which prints the figures."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, "-m", "benchmarks.scale", "--only", str(size), "--json", file.name]
        command += ["--bundle", str(options.bundle), "--kept", str(options.kept), "--storage", options.storage]
        run = subprocess.run(command, check=False)
        if run.returncode not in (0, 1):
            raise SystemExit(f"the measurement of {size} vectors failed")
        figures: list[dict[str, object]] = json.loads(Path(file.name).read_text(encoding="utf-8"))["figures"][str(size)]
        return figures


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
