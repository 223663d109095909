"""The recall of the graph, measured on what is really searched for.

Now and then a search of the graph is repeated, by the graph and by comparing everything, in a thread of the lowest
priority. Recall is the share of the ten best documents that the graph found, or found others just as good for. While it
is low, the ef_search of all searches is raised, step by step. It is never lowered: it was too low for queries such as
these. A restart begins with the first value.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from server.cpus import give_way
from server.vectors.view import DenseView, EfSearch

log = logging.getLogger(__name__)

DEPTH = 10

WINDOW = 200
"""Searches that recall is the mean of."""

JUDGED = 50
"""Searches after which recall is believed."""

EF_SEARCH_STEP = 1.5

EF_SEARCH_MOST = 512
"""Of a graph of up to 100,000 vectors: four times as much as at first by default."""

BUSY_SHARE = 0.02
"""Share of its time that the thread measures, at most: of one core, and of the memory's bandwidth."""

NICENESS = 19

PAUSE_SECONDS = 0.1
"""Between two measurements, at least."""


class RecallWatch:
    """Measures recall in a thread of its own and raises ef_search.

    `mean` is the recall at 10 of the last searches that were measured; 1 before the first.
    """

    def __init__(self, ef_search: EfSearch, min_recall: float) -> None:
        self._ef_search = ef_search
        self._min_recall = min_recall
        self.mean = 1.0
        self._recalls: deque[float] = deque(maxlen=WINDOW)
        self._sample: Callable[[], float] | None = None
        self._wanted = threading.Event()
        self._next_seconds = 0.0
        self._closed = False
        self._thread: threading.Thread | None = None

    def observe(
        self, view: DenseView, query: NDArray[np.float32], allowed: NDArray[np.bool_] | None, weights: Sequence[float]
    ) -> None:
        """Takes a search as the next to be measured, if it is time for one. Costs next to nothing if it is not."""
        now = time.monotonic()
        if now < self._next_seconds or self._closed:
            return
        self._next_seconds = now + PAUSE_SECONDS
        self._sample = partial(measure_recall, view, query, allowed=allowed, weights=weights)
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
        self._sample = None  # It has a view, which has us.

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
            recall = sample()
            del sample
            now = time.monotonic()
            self._next_seconds = now + max(PAUSE_SECONDS, (now - started) / BUSY_SHARE)
            self._learn(recall)

    def _learn(self, recall: float) -> None:
        self._recalls.append(recall)
        self.mean = float(np.mean(self._recalls))
        before = self._ef_search.value
        if len(self._recalls) < JUDGED or self.mean >= self._min_recall or before >= EF_SEARCH_MOST:
            return
        raised = min(int(before * EF_SEARCH_STEP), EF_SEARCH_MOST)
        message = "the recall of the index is %.4f, below %.4f: ef_search is raised from %d to %d"
        log.warning(message, self.mean, self._min_recall, before, raised)
        self._ef_search.value = raised
        self._recalls.clear()


def measure_recall(
    view: DenseView,
    query: NDArray[np.float32],
    *,
    allowed: NDArray[np.bool_] | None = None,
    weights: Sequence[float] = (1.0,),
) -> float:
    """Returns the share of the ten best documents that a search of the graph finds, or others as good for them."""
    right = view.search(query, limit=DEPTH, allowed=allowed, weights=weights, exact=True)
    found = replace(view, observe=None).search(query, limit=DEPTH, allowed=allowed, weights=weights)
    if not right:
        return 1.0
    return sum(match.score >= right[-1].score for match in found) / len(right)
