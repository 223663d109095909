"""The engine: one model, one index, and the threads that answer queries with them.

Each model has its engine. `EngineSlot` swaps engines: calls in flight finish on the old engine, which then ends. So
every answer comes from one model and one index.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence

from server.batching.job import Job
from server.batching.pipeline import Pipeline, is_bulk
from server.batching.speed import Speed
from server.encoding.bundle import Bundle
from server.encoding.cache import EmbeddingCache
from server.encoding.kind import Side, TextKind
from server.errors import ChajaError, NotReady, Overloaded
from server.metrics import Metrics
from server.ranking.options import SearchOptions
from server.ranking.served import ServedIndex
from server.settings import Settings


class Engine:
    """Serves a loaded bundle and index. Created and used on the event loop."""

    def __init__(
        self,
        bundle: Bundle,
        index: ServedIndex,
        settings: Settings,
        *,
        cache: EmbeddingCache,
        speed: Speed,
        metrics: Metrics,
    ) -> None:
        """Starts the threads. `cache` and `speed` outlive the engine."""
        self.manifest = bundle.manifest
        self.bundle = bundle
        self.index = index
        self.pipeline = Pipeline(bundle, index, settings, cache=cache, speed=speed, metrics=metrics)
        self._calls = 0
        self._unused = asyncio.Event()
        self._unused.set()

    def query_job(
        self,
        text: str,
        options: SearchOptions,
        *,
        words: str | None = None,
        typed: str | None = None,
        interpretation: str = "",
        truncate: bool = False,
        remaining_seconds: float | None,
        bulk: bool,
    ) -> Job:
        """Creates the job of a normalised search query; see `Job` for its texts. Its stopwatch starts now."""
        return Job(
            text=text,
            kind=TextKind.QUERY,
            options=options,
            words=words,
            typed=typed,
            interpretation=interpretation,
            truncate=truncate,
            deadline=deadline_after(remaining_seconds),
            bulk=bulk,
        )

    def passage_jobs(self, texts: Sequence[tuple[str, TextKind]], *, deadline: float) -> list[Job]:
        """Creates the jobs of documents' passages, which are never truncated."""
        # Not cached: the example queries of documents must not evict users' queries.
        return [Job(text=text, kind=kind, deadline=deadline, bulk=True, cached=False) for text, kind in texts]

    def text_jobs(
        self, texts: Sequence[str], kind: TextKind, *, truncate: bool, remaining_seconds: float | None
    ) -> list[Job]:
        """Creates the jobs of one Encode call. Its texts are not normalised."""
        bulk = kind.side is Side.DOCUMENT or is_bulk(texts)
        deadline = deadline_after(remaining_seconds)
        return [Job(text=text, kind=kind, truncate=truncate, deadline=deadline, bulk=bulk) for text in texts]

    async def run(self, jobs: Sequence[Job], *, admitted: bool = False) -> list[ChajaError | None]:
        """Takes the jobs of one call through the stages up to search; returns each job's error, or None.

        Set `admitted` for jobs of an operation that was admitted before. Raises ChajaError if the call is rejected.
        """
        self._calls += 1
        self._unused.clear()
        try:
            return await self.pipeline.run(jobs, admitted=admitted)
        finally:
            self._calls -= 1
            if not self._calls:
                self._unused.set()

    async def close(self) -> None:
        """Waits for the engine's calls, then ends its threads."""
        while self._calls:  # Another call may start before this task wakes.
            await self._unused.wait()
        await asyncio.to_thread(self.pipeline.close)


def deadline_after(remaining_seconds: float | None) -> float:
    """Returns the end of a call's remaining time, as a value of `time.monotonic()`."""
    return math.inf if remaining_seconds is None else time.monotonic() + remaining_seconds


class EngineSlot:
    """Holds the current engine for the services, which are registered before it is loaded."""

    def __init__(self, *, on_broken: Callable[[], None]) -> None:
        """Creates an empty slot. It calls `on_broken` when a worker of the current engine dies."""
        self._engine: Engine | None = None
        self._opened = False
        self._on_broken = on_broken

    def swap(self, engine: Engine) -> None:
        """Makes an engine the current one."""
        self._engine = engine
        # The callback must not capture the engine: after gc.freeze() a replaced engine in a cycle is never freed.
        engine.pipeline.workers.death.add_done_callback(self._check)

    def open(self) -> None:
        """Lets calls use the engine: everything is loaded."""
        self._opened = True

    @property
    def engine(self) -> Engine:
        """The current engine, for calls; raises NotReady before `open`: the catalogue would lack documents."""
        if not self._opened:
            raise NotReady("the server is still loading; try again in a few seconds")
        return self.loaded

    @property
    def loaded(self) -> Engine:
        """The current engine, for the first import as well; raises NotReady before there is one."""
        if self._engine is None:
            raise NotReady("the server is still loading its model; try again in a few seconds")
        return self._engine

    @property
    def broken(self) -> bool:
        """Whether a worker of the current engine has died."""
        return self._engine is not None and self._engine.pipeline.workers.broken

    def _check(self, _: asyncio.Future[None]) -> None:
        if self.broken:
            self._on_broken()

    def overload(self) -> Overloaded | None:
        """Returns the error that each query gets now; None if the server admits queries, or nothing is loaded."""
        return self._engine.pipeline.admission.overload(bulk=False) if self._engine else None

    @property
    def queue_texts(self) -> int:
        """Number of texts that wait for a worker."""
        return len(self._engine.pipeline) if self._engine else 0

    @property
    def predicted_wait_seconds(self) -> float:
        """Predicted queue wait of an interactive call that arrives now. Any thread may read it."""
        return self._engine.pipeline.admission.predicted_wait_seconds(bulk=False) if self._engine else 0.0

    @property
    def workers_alive(self) -> int:
        """Number of the current engine's workers that have not died."""
        return self._engine.pipeline.workers.alive if self._engine else 0
