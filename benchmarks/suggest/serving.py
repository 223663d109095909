"""Measures `SuggestService.Suggest` of a server that has one core for itself; the load tester has the others."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.serving.figure import Figure
from benchmarks.serving.stretch import Stretch, drive
from benchmarks.suggest.titles import letter_by_letter, titles, typed
from loadtest.plan import Call, Plan
from loadtest.requests.method import find_method
from loadtest.requests.queries import Query
from loadtest.schedule import constant
from loadtest.target import Target
from sample.server_process import ServerProcess, running_server
from server.catalogue.document import Document
from server.catalogue.encoded import Vectors
from server.catalogue.store import Store
from server.encoding.manifest import read_manifest

SHARES = {"first letter": 0.1, "letters": 0.7, "initials": 0.1, "other layout": 0.05, "typing error": 0.05}
"""A mix of the kinds of typed texts: most are beginnings of titles."""

LEAST_RATE, P99_MILLISECONDS = 2500, 2
"""The targets."""

MANY, FEW = 40_000, 2000
"""Typed texts: more than the calls of a measurement, so that the server has kept few answers, and far fewer."""

IN_FLIGHT = 16
OPEN_RATE = 250
"""Calls a second for which the latency is measured. At the highest rate it would be that of the queue."""

STORED_AT_ONCE = 5000
SEED = 5


def measure_serving(bundle: Path, count: int, *, seconds: int, repeats: int) -> Iterator[Figure]:
    """Yields the figures of a server of so many titles."""
    cores = sorted(os.sched_getaffinity(0))
    texts = titles(count)
    with contextlib.ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="suggest-")))
        _store(data, bundle, texts)
        with _on(cores[:1], cores):
            server = stack.enter_context(running_server(_flags(bundle, data, count)))
        with _on(cores[1:] or cores, cores):
            makers: dict[str, Callable[[int], list[str]]] = {
                "all typed texts differ": lambda seed: _mix(texts, MANY, seed=seed),
                "titles are typed letter by letter": lambda seed: list(letter_by_letter(texts, MANY, seed=seed)),
                "typed texts repeat": lambda seed: _mix(texts, FEW, seed=seed),
            }
            for name, make in makers.items():
                mixes = [make(seed) for seed in range(2 * repeats)]
                closed = [_drive(server, mix, seconds, in_flight=IN_FLIGHT) for mix in mixes[:repeats]]
                yield from _rate(name, closed)
                schedule = constant(OPEN_RATE, seconds=seconds, warm_up_seconds=1)
                opened = [_drive(server, mix, seconds, schedule=schedule) for mix in mixes[repeats:]]
                yield from _latency(name, opened)


def _rate(name: str, stretches: Sequence[Stretch]) -> Iterator[Figure]:
    others = max(each.other_cores for each in stretches)
    note = f"{IN_FLIGHT} in flight; other processes took {others:.2f} cores"
    rates, used = [each.rate for each in stretches], [1e6 * each.cpu_per_call for each in stretches]
    yield Figure(f"{name}: calls through gRPC", rates, "{:,.0f} calls/s", at_least=LEAST_RATE, note=note)
    yield Figure(f"{name}: CPU of the server for a call", used, "{:,.0f} µs")
    yield Figure(f"{name}: calls that failed", [_failed(each) for each in stretches], "{:,.0f}", at_most=0)


def _latency(name: str, stretches: Sequence[Stretch]) -> Iterator[Figure]:
    for percent, most in ((50, None), (99, P99_MILLISECONDS)):
        latencies = [each.latency_ms(percent) for each in stretches]
        yield Figure(f"{name}: p{percent} at {OPEN_RATE} calls/s", latencies, "{:.2f} ms", at_most=most)


def _failed(stretch: Stretch) -> int:
    return stretch.summary.total.sent - stretch.summary.total.ok.count


def _mix(texts: Sequence[str], count: int, *, seed: int) -> list[str]:
    """Returns so many typed texts in any order."""
    mix = [each for kind, share in SHARES.items() for each in typed(texts, kind, int(share * count), seed=seed)]
    Random(seed).shuffle(mix)
    return mix


def _store(folder: Path, bundle: Path, texts: Sequence[str]) -> None:
    """Makes a store of documents with titles. Their vectors are random: nothing is encoded, and nothing is searched."""
    manifest, random = read_manifest(bundle), np.random.default_rng(SEED)
    store = Store(folder, durable=False)
    for first in range(0, len(texts), STORED_AT_ONCE):
        with store.write() as transaction:
            for number, title in enumerate(texts[first : first + STORED_AT_ONCE], first):
                matrix = random.standard_normal((1, manifest.dimension), np.float32)
                matrix /= np.linalg.norm(matrix)
                vectors = Vectors(np.array([[0, 0, len(title)]], np.int32), matrix)
                document = Document(id=f"service-{number}", title=title, attributes={"popularity": number % 100})
                transaction.put(document, vectors, revision=manifest.revision)
    store.close()


def _flags(bundle: Path, data: Path, count: int) -> list[str]:
    """Returns the flags of a server. It builds no graph, which would take time of its core."""
    addresses = ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
    return ["--bundle", str(bundle), "--data", str(data), "--hnsw-from-vectors", str(2 * count), *addresses]


def _drive(server: ServerProcess, queries: Sequence[str], seconds: int, **options: Any) -> Stretch:
    target = Target(address=server.address)
    plan = Plan(
        target=target,
        calls=(Call(method=asyncio.run(find_method("Suggest", target=target))),),
        queries=tuple(Query(str(number), {"query": text}) for number, text in enumerate(queries)),
        seconds=seconds,
        warm_up_seconds=1,
        **options,
    )
    return drive(plan, server.process.pid)


@contextlib.contextmanager
def _on(cores: Sequence[int], all_cores: Sequence[int]) -> Iterator[None]:
    """Starts processes and threads of this thread on some cores."""
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_cores)
