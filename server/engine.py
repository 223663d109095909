"""The engine: what answers queries once everything is loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from server.batching.job import Job
from server.batching.pipeline import Pipeline
from server.encoding.tokenizer import TextKind
from server.errors import NotReady
from server.loading import Loaded
from server.metrics import Metrics


class Engine:
    """Serves what was loaded. Made and used on the event loop."""

    def __init__(self, loaded: Loaded, *, threads: int, max_batch_tokens: int, metrics: Metrics) -> None:
        self.manifest = loaded.bundle.manifest
        self.catalogue = loaded.catalogue
        self.index = loaded.index
        self._pipeline = Pipeline(
            loaded.bundle, loaded.index, threads=threads, max_batch_tokens=max_batch_tokens, metrics=metrics
        )
        metrics.model_info.labels(
            self.manifest.name, self.manifest.revision, self.manifest.quantization, loaded.bundle.encoder_name
        ).set(1)
        metrics.catalogue_documents.set(len(self.catalogue.documents))
        metrics.catalogue_vectors.set(len(self.index))

    def job(self, text: str, *, kind: TextKind, limit: int | None = None, truncate: bool = False) -> Job:
        """Makes a job; its time runs from here."""
        done = asyncio.get_running_loop().create_future()
        return Job(text=text, kind=kind, limit=limit, truncate=truncate, done=done)

    async def run(self, jobs: Sequence[Job]) -> list[BaseException | None]:
        """Takes jobs through the stages up to search; returns for each what went wrong with it, or None."""
        return await self._pipeline.run(jobs)

    def close(self) -> None:
        """Ends the threads. Blocks until they have finished what they have."""
        self._pipeline.close()


class EngineSlot:
    """Holds the engine for the services, which are registered before it is loaded."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def fill(self, engine: Engine) -> None:
        """Lets the services answer."""
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises:
            NotReady: It is not loaded yet.
        """
        if self._engine is None:
            raise NotReady("the server is still loading its model; try again in a few seconds")
        return self._engine
