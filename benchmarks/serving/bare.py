"""Measures the encoder alone, in a separate process, as the baseline of the server.

It tokenizes the texts first; then each thread encodes batch after batch. It prints one JSON object.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
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
    """Speed of the encoder alone.

    Attributes:
        rate: Texts a second.
        batch_seconds: Median time of a batch.
    """

    rate: float
    batch_seconds: float


def encode_bare(bundle: Path, queries: Path, *, threads: int, seconds: float, batch: int = BATCH_TEXTS) -> Bare:
    """Measures in a child process, on the cores allowed for this thread."""
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
    tokens = bundle.tokenize([(query.fields["query"], TextKind.QUERY) for query in shuffled_queries(options.queries)])
    _encode(bundle, tokens, threads=options.threads, batch=options.batch, seconds=WARM_UP_SECONDS)
    bare = _encode(bundle, tokens, threads=options.threads, batch=options.batch, seconds=options.seconds)
    print(json.dumps(asdict(bare)))


def _encode(bundle: Bundle, tokens: list[Tokens], *, threads: int, batch: int, seconds: float) -> Bare:
    counts, durations = [0] * threads, [list[float]() for _ in range(threads)]
    until = time.perf_counter() + seconds

    def encode(number: int) -> None:
        position = len(tokens) * number // threads  # No two threads encode the same texts at the same time.
        while (started := time.perf_counter()) < until:
            texts = [tokens[(position + offset) % len(tokens)] for offset in range(batch)]
            bundle.encode(texts)
            durations[number].append(time.perf_counter() - started)
            counts[number] += batch
            position += batch

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(encode, range(threads)))
    rate = sum(counts) / (time.perf_counter() - began)
    return Bare(rate, statistics.median(itertools.chain.from_iterable(durations)))


if __name__ == "__main__":
    main()
