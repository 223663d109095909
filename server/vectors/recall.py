"""The recall of the graph, measured on a sample of the real searches and on the documents' own vectors.

A thread of the lowest priority repeats some searches, once with the graph and once exactly. After each, it does the
same with the vector of a random document: a graph can serve the usual queries well and still not find some documents.
Recall at 10 is the share of the ten best documents that the graph finds; others with the same score count as well.
While either recall is low, ef_search is raised step by step, for all searches. It is never lowered, because it was too
low for queries of this kind. A restart begins with the configured value.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from server.priority import give_way
from server.vectors.ef_search import EfSearch
from server.vectors.view import DenseView

log = logging.getLogger(__name__)

QueryKind = Literal["search", "document"]
"""A query of a caller, or the vector of a document."""

DEPTH = 10

WINDOW = 200
"""Number of searches over which recall is averaged."""

MIN_SAMPLES = 50
"""Number of searches before recall can raise ef_search."""

EF_SEARCH_STEP = 1.5

EF_SEARCH_MOST = 512
"""For a graph of up to 100,000 vectors: four times the default."""

BUSY_SHARE = 0.02
"""Largest share of its time that the thread measures, since it uses a core and memory bandwidth."""

NICENESS = 19

PAUSE_SECONDS = 0.1
"""Least time between two measurements."""

FAILED_SECONDS = 60.0
"""Pause after an error, so that repeated errors do not fill the log."""


class RecallWatch:
    """Measures recall in a separate thread and raises ef_search.

    `means` holds, for each kind of query, the recall at 10 of the last measured searches; 1 before the first.
    """

    def __init__(self, ef_search: EfSearch, min_recall: float) -> None:
        self._ef_search = ef_search
        self._min_recall = min_recall
        self.means: dict[QueryKind, float] = dict.fromkeys(get_args(QueryKind), 1.0)
        self._recalls: dict[QueryKind, deque[float]] = {kind: deque(maxlen=WINDOW) for kind in self.means}
        self._random = np.random.default_rng()
        self._sample: Callable[[], dict[QueryKind, float]] | None = None
        self._wanted = threading.Event()
        self._next_seconds = 0.0
        self._closed = False
        self._thread: threading.Thread | None = None

    def observe(
        self, view: DenseView, query: NDArray[np.float32], allowed: NDArray[np.bool_] | None, weights: Sequence[float]
    ) -> None:
        """Passes a search to the thread if a measurement is due. Otherwise it returns at once."""
        now = time.monotonic()
        if now < self._next_seconds or self._closed:
            return
        self._next_seconds = now + PAUSE_SECONDS
        self._sample = partial(self._measure, view, query, allowed, weights)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="index-recall", daemon=True)
            self._thread.start()
        self._wanted.set()

    def close(self) -> None:
        """Ends the thread."""
        self._closed = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
        self._sample = None  # Breaks a reference cycle: it holds a view, which holds this object.

    def _run(self) -> None:
        give_way(NICENESS)
        while True:
            self._wanted.wait()
            self._wanted.clear()
            sample, self._sample = self._sample, None
            if self._closed:
                return
            if sample is None:
                continue
            started = time.monotonic()
            try:
                measured = sample()
            except Exception:
                log.exception("the recall of the index could not be measured; the server tries again in a minute")
                self._next_seconds = time.monotonic() + FAILED_SECONDS
                continue
            finally:
                del sample
            now = time.monotonic()
            self._next_seconds = now + max(PAUSE_SECONDS, (now - started) / BUSY_SHARE)
            for kind, recall in measured.items():
                self._learn(kind, recall)

    def _measure(
        self, view: DenseView, query: NDArray[np.float32], allowed: NDArray[np.bool_] | None, weights: Sequence[float]
    ) -> dict[QueryKind, float]:
        own = view.vector(int(self._random.integers(len(view))))
        return {
            "search": measure_recall(view, query, allowed=allowed, weights=weights),
            "document": measure_recall(view, own, allowed=allowed, weights=weights),
        }

    def _learn(self, kind: QueryKind, recall: float) -> None:
        recalls = self._recalls[kind]
        recalls.append(recall)
        self.means[kind] = mean = float(np.mean(recalls))
        before = self._ef_search.value
        if len(recalls) < MIN_SAMPLES or mean >= self._min_recall or before >= EF_SEARCH_MOST:
            return
        raised = min(int(before * EF_SEARCH_STEP), EF_SEARCH_MOST)
        message = "the recall of the index (%s) is %.4f, below %.4f: ef_search is raised from %d to %d"
        log.warning(message, kind, mean, self._min_recall, before, raised)
        self._ef_search.value = raised
        for each in self._recalls.values():
            each.clear()


def measure_recall(
    view: DenseView,
    query: NDArray[np.float32],
    *,
    allowed: NDArray[np.bool_] | None = None,
    weights: Sequence[float] = (1.0,),
) -> float:
    """Returns the share of the ten best documents that the graph finds; others with the same score count as well."""
    right = view.search(query, limit=DEPTH, allowed=allowed, weights=weights, exact=True)
    found = replace(view, observe=None).search(query, limit=DEPTH, allowed=allowed, weights=weights)
    if not right:
        return 1.0
    return sum(match.score >= right[-1].score for match in found) / len(right)
