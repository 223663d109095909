"""`make bench-shard`: measures one index with everything that a search needs, as one shard of a larger one would be.

Each document has a made title and one vector. All searches run on one thread. The CPU time of a search is the time that
it takes on an otherwise idle core; its latency also contains the time that other processes take. `make simulate-scale`
reads the file that `--json` writes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scale.vectors import CHUNK_VECTORS, Source
from benchmarks.serving.process import memory_of
from benchmarks.suggest.titles import titles
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY
from server.catalogue.document import Document
from server.catalogue.encoded import Vectors, Versioned
from server.closed_pipe import until_closed_pipe
from server.defaults import HNSW_FROM_VECTORS
from server.errors import ChajaError
from server.live.index import LiveIndex, snapshot_parts
from server.ranking.options import Mode, SearchOptions
from server.ranking.probes import EncodedProbes
from server.ranking.search import search
from server.ranking.state import State
from server.report_files import check_report, write_report
from server.snapshot import read_snapshot, write_snapshot
from server.vectors.dense import DenseIndex, DenseOptions

LIMIT = 10

QUANTILES = 1001
"""Number of quantiles of the times of searches that the file has."""

RECALL_QUERIES = 200


def main() -> int:
    """Prints the figures of each size, measured in a separate process; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.shard", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR")
    parser.add_argument("--sizes", type=_positive, nargs="+", default=[10_000, 100_000], metavar="N", help="vectors")
    parser.add_argument("--searches", type=_positive, default=2000, metavar="N", help="of each mode (default: 2000)")
    parser.add_argument("--kept", type=Path, default=REPOSITORY / "build/scale", metavar="DIR", help="encoded texts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to this file")
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.apart:
        print(json.dumps(measure(Source(options.bundle, options.kept), options.sizes[0], options.searches)))
        return 0
    environment = describe_environment(" ".join(sys.argv))
    try:
        check_report(options.json)
        Source(options.bundle, options.kept)  # Encodes the sample's texts once.
    except ChajaError as error:
        raise SystemExit(f"error: {error}") from None
    environment["load"] = f"{os.getloadavg()[0]:.1f} in the minute before"
    for name, value in environment.items():
        print(f"{name:14} {value}")
    shards = []
    for size in options.sizes:
        command = [sys.executable, "-m", "benchmarks.scale.shard", "--apart", "--sizes", str(size)]
        command += ["--bundle", str(options.bundle), "--kept", str(options.kept), "--searches", str(options.searches)]
        run = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if run.returncode:
            raise SystemExit(f"the measurement of {size} vectors failed")
        shards.append(json.loads(run.stdout))
        _show(shards[-1])
    if options.json:
        document = {"environment": environment, "shards": shards}
        write_report(options.json, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return 0


def measure(source: Source, size: int, searches: int) -> dict[str, Any]:
    """Returns the figures of an index of `size` vectors."""
    made = titles(size)
    probes = EncodedProbes(lambda texts: source.queries(len(texts)))
    with tempfile.TemporaryDirectory() as folder:
        source.documents(CHUNK_VECTORS)  # The allocator keeps memory of what makes vectors: not part of the index.
        before = memory_of(os.getpid())
        index = _empty(source, size, probes, Path(folder) / "graphs")
        started = time.perf_counter()
        for start in range(0, size, CHUNK_VECTORS):
            chunk = made[start : start + CHUNK_VECTORS]
            index.follow(_documents(source, chunk, start), [], sequence=start + len(chunk))
        append_seconds = time.perf_counter() - started
        started = time.perf_counter()
        index.dense.wait()
        build_seconds = time.perf_counter() - started
        index.refresh()
        index.measure()
        index.refresh()
        state = index.state
        modes = {mode.name: _searched(source, state, mode, made, searches) for mode in Mode}
        recall = _recall(source, state)
        memory_bytes = memory_of(os.getpid()) - before
        snapshot = Path(folder) / "snapshot"
        snapshot.mkdir()
        write_snapshot(snapshot, state.dense.facts, parts=snapshot_parts(state), files=state.dense.files)
        restored = _empty(source, size, probes, Path(folder) / "restored")
        started = time.perf_counter()
        read = read_snapshot(snapshot, restored.state.dense.facts)
        restored.restore(read, live_sequences=state.slots.sequences)
        restored.complete((number + 1, Document(id=str(number), title=title)) for number, title in enumerate(made))
        restore_seconds = time.perf_counter() - started
        figures = {
            "vectors": size,
            "dimension": source.dimension,
            "memory_bytes": memory_bytes,
            "append_seconds": append_seconds,
            "build_seconds": build_seconds,
            "snapshot_bytes": sum(path.stat().st_size for path in snapshot.iterdir()),
            "restore_seconds": restore_seconds,
            "recall": recall,
            "modes": modes,
        }
        restored.close()
        index.close()
    return figures


def _empty(source: Source, size: int, probes: EncodedProbes, folder: Path) -> LiveIndex:
    options = DenseOptions(hnsw_from_vectors=max(size, HNSW_FROM_VECTORS))  # Builds one graph, of all vectors.
    dense = DenseIndex(source.dimension, "cosine", "f16", folder=folder, options=options)
    return LiveIndex(source.revision, dense, probes=probes)


def _documents(source: Source, made: list[str], start: int) -> list[Versioned]:
    return [
        Versioned(
            start + number + 1,
            Document(id=str(start + number), title=title),
            Vectors(np.array([[0, 0, len(title)]], np.int32), vector[None]),
        )
        for number, (title, vector) in enumerate(zip(made, source.documents(len(made), start=start), strict=True))
    ]


def _searched(source: Source, state: State, mode: Mode, made: list[str], searches: int) -> dict[str, Any]:
    """Returns rates and times of searches. Texts are made titles, and have nothing to do with the vectors."""
    options, latencies, cpu = SearchOptions(LIMIT, mode), [], []
    for number, vector in enumerate(source.queries(searches)):
        text = made[number * 7919 % len(made)]
        started, cpu_started = time.perf_counter(), time.thread_time()
        search(state, text, vector, options)
        cpu.append(1000 * (time.thread_time() - cpu_started))
        latencies.append(1000 * (time.perf_counter() - started))
    return {
        "searches_per_core_second": 1000 / float(np.mean(cpu)),
        "latency_milliseconds": {str(at): float(np.percentile(latencies, at)) for at in (50, 99)},
        "cpu_milliseconds": np.quantile(cpu, np.linspace(0, 1, QUANTILES)).round(5).tolist(),
    }


def _recall(source: Source, state: State) -> float:
    """Returns recall@10 of the vectors, compared with exact search."""
    shares = []
    for vector in source.queries(RECALL_QUERIES):
        right = {match.slot for match in state.dense.search(vector, limit=LIMIT, exact=True)}
        shares.append(len(right & {match.slot for match in state.dense.search(vector, limit=LIMIT)}) / len(right))
    return float(np.mean(shares))


def _show(shard: dict[str, Any]) -> None:
    size = shard["vectors"]
    print(f"\n{size:,} vectors: {shard['memory_bytes'] / size:,.0f} bytes of memory a vector", end=", ")
    print(f"append {shard['append_seconds']:.1f} s, build {shard['build_seconds']:.1f} s", end=", ")
    print(f"snapshot {shard['snapshot_bytes'] / 1e6:,.0f} MB, restore {shard['restore_seconds']:.1f} s", end=", ")
    print(f"recall@10 {shard['recall']:.3f}")
    for name, mode in shard["modes"].items():
        times = np.percentile(mode["cpu_milliseconds"], (50, 99))
        late = mode["latency_milliseconds"]
        print(f"  {name:8} {mode['searches_per_core_second']:8,.0f} searches/s on a core", end="; ")
        print(f"CPU p50 {times[0]:.2f} ms, p99 {times[1]:.2f} ms", end="; ")
        print(f"latency p50 {late['50']:.2f} ms, p99 {late['99']:.2f} ms", flush=True)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
