"""The encoder alone, in a process of its own: what the server is measured against.

`python -m benchmarks.serving.bare --bundle DIR --queries FILE --threads N --batch N --seconds N` prints one JSON
object. The texts are tokenized before; each thread encodes batch after batch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.serving.queries import shuffled_queries
from sample.server_process import REPOSITORY
from server.encoding.bundle import Bundle
from server.encoding.kind import TextKind
from server.encoding.tokenizer import Tokens

BATCH_TEXTS = 8
WARM_UP_SECONDS = 0.5


@dataclass(frozen=True)
class Bare:
    """What the encoder does alone.

    Attributes:
        rate: Texts a second.
        cpu_seconds: CPU of the process for each of them.
        batch_seconds: Median time of a batch.
    """

    rate: float
    cpu_seconds: float
    batch_seconds: float


def encode_bare(bundle: Path, queries: Path, *, threads: int, seconds: float, batch: int = BATCH_TEXTS) -> Bare:
    """Measures in a child process, on the cores that this thread may use."""
    command = [sys.executable, "-m", __name__, "--bundle", str(bundle), "--queries", str(queries)]
    command += ["--threads", str(threads), "--batch", str(batch), "--seconds", str(seconds)]
    child = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return Bare(**json.loads(child.stdout))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.bare", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=BATCH_TEXTS)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    bundle = Bundle(options.bundle)
    bundle.verify()
    tokens = bundle.tokenize([(query.text, TextKind.QUERY) for query in shuffled_queries(options.queries)])
    _encode(bundle, tokens, threads=options.threads, batch=options.batch, seconds=WARM_UP_SECONDS)
    bare = _encode(bundle, tokens, threads=options.threads, batch=options.batch, seconds=options.seconds)
    print(json.dumps(asdict(bare)))


def _encode(bundle: Bundle, tokens: list[Tokens], *, threads: int, batch: int, seconds: float) -> Bare:
    counts, durations = [0] * threads, [list[float]() for _ in range(threads)]
    until = time.perf_counter() + seconds

    def encode(number: int) -> None:
        position = len(tokens) * number // threads  # So that no two of them go through the same texts in step.
        while (started := time.perf_counter()) < until:
            texts = [tokens[(position + offset) % len(tokens)] for offset in range(batch)]
            bundle.encode(texts)
            durations[number].append(time.perf_counter() - started)
            counts[number] += batch
            position += batch

    began, cpu = time.perf_counter(), time.process_time()
    running = [threading.Thread(target=encode, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    elapsed, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    every = [duration for of_thread in durations for duration in of_thread]
    return Bare(sum(counts) / elapsed, cpu_seconds / sum(counts), statistics.median(every))


if __name__ == "__main__":
    main()
