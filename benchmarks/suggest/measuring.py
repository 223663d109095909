"""Measures an index of completions in this process."""

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.figure import Figure
from benchmarks.serving.process import memory_of
from benchmarks.suggest.titles import KINDS, titles, typed
from server.memory import keep_large_memory, return_freed_memory
from server.suggest.completion import Completion
from server.suggest.index import SuggestIndex
from server.suggest.view import SuggestView

LIMIT = 10
"""Suggestions of each call."""

COMMON = ("first letter", "letters", "initials")
"""The kinds of typed texts whose mean time has a target."""

SHARES = {"50 %": 0.5, "1 %": 0.01, "0.01 %": 0.0001}

REPEATS = 3
"""Calls with each typed text. The fastest counts: the others may have waited for another process on the core."""

WRITES = 2000

MEAN_MICROSECONDS, P99_MILLISECONDS, WRITE_MILLISECONDS = 150, 2, 1
"""The targets."""


def measure(count: int, calls: int) -> Iterator[Figure]:
    """Yields the figures of an index of so many titles, with so many calls for each kind of typed text."""
    keep_large_memory()  # As the server does.
    texts = titles(count)
    random = Random(3)
    completions = [Completion(text, weight=random.paretovariate(1)) for text in texts]
    return_freed_memory()
    before = memory_of(os.getpid())
    index = SuggestIndex()
    started = time.perf_counter()
    index.add((slot, [completion]) for slot, completion in enumerate(completions))
    yield Figure("add all at once", [count / (time.perf_counter() - started)], "{:,.0f} titles/s")
    return_freed_memory()
    memory = (memory_of(os.getpid()) - before) / count
    yield Figure("memory of a title", [memory], "{:,.0f} bytes", note="besides its text")

    for kind in KINDS:
        yield from _latency(kind, index.view(), list(typed(texts, kind, calls)), common=kind in COMMON)
    for name, share in SHARES.items():
        allowed = np.array([random.random() < share for _ in texts])
        for kind in COMMON[:2]:
            queries = list(typed(texts, kind, calls))
            yield from _latency(f"{kind}, {name} of the documents allowed", index.view(), queries, allowed=allowed)
    yield from _writes(index, count)
    for kind in KINDS:
        yield from _latency(f"{kind}, after these writes", index.view(), list(typed(texts, kind, calls)))


def _latency(
    name: str,
    view: SuggestView,
    queries: Sequence[str],
    *,
    allowed: NDArray[np.bool_] | None = None,
    common: bool = False,
) -> Iterator[Figure]:
    view.suggest(queries[0], limit=LIMIT, allowed=allowed)
    seconds, found = np.zeros((len(queries), REPEATS)), 0
    for number, query in enumerate(queries):
        for repeat in range(REPEATS):
            started = time.perf_counter()
            suggestions = view.suggest(query, limit=LIMIT, allowed=allowed)
            seconds[number, repeat] = time.perf_counter() - started
        found += bool(suggestions)
    microseconds = 1e6 * seconds.min(axis=1)
    mean, p99 = float(microseconds.mean()), float(np.quantile(microseconds, 0.99)) / 1e3
    of_first = 1e3 * float(np.quantile(seconds[:, 0], 0.99))
    note = f"{found / len(queries):.0%} find something"
    yield Figure(f"{name}, mean", [mean], "{:,.0f} µs", at_most=MEAN_MICROSECONDS if common else None, note=note)
    note = f"p50 {np.median(microseconds):,.0f} µs, p99 of first calls {of_first:.2f} ms"
    yield Figure(f"{name}, p99", [p99], "{:.2f} ms", at_most=P99_MILLISECONDS, note=note)


def _writes(index: SuggestIndex, count: int) -> Iterator[Figure]:
    """Replaces the titles of documents one by one, with a view after each."""
    seconds = []
    for number, text in enumerate(titles(WRITES, seed=4)):
        started = time.perf_counter()
        index.remove([number % count])
        index.add([(count + number, [Completion(text, weight=1.0)])])
        index.view()
        seconds.append(time.perf_counter() - started)
    milliseconds = 1e3 * statistics.fmean(seconds)
    note = f"slowest {1e3 * max(seconds):.1f} ms"
    yield Figure("replace one title, mean", [milliseconds], "{:.3f} ms", at_most=WRITE_MILLISECONDS, note=note)
