"""Jobs, indexes and pipelines for the tests of the serving core, and a bundle that records, blocks or fails."""

import asyncio
import math
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.batching.job import Job
from server.batching.pipeline import Pipeline
from server.batching.queue import Batch, Queue
from server.batching.speed import Speed
from server.catalogue.document import Document
from server.catalogue.encoded import Vectors, Versioned
from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.encoding.cache import EmbeddingCache
from server.encoding.cutting import DEFAULT_CUTTING, Cutting
from server.encoding.kind import TextKind
from server.encoding.passages import passages_of
from server.encoding.tokenizer import Tokens
from server.errors import ChajaError
from server.live.building import IndexBuilder, keeps_all
from server.live.index import LiveIndex
from server.live.loading import Loaded
from server.metrics import Metrics
from server.ranking.found import FoundDocument
from server.ranking.options import SearchOptions
from server.ranking.probes import EncodedProbes
from server.ranking.served import ServedIndex
from server.settings import Settings
from server.vectors.dense import DenseIndex, DenseOptions

Outcomes = list[ChajaError | None]

DOCUMENTS = ["지갑을 잃어버렸어", "send money", "환율", "split the bill", "x" * 60]
"""Titles; the sequence of each is its position, from 1."""

ENGINE_SETTINGS = Settings(bundle=Path(), encode_workers=1, max_batch_tokens=64, longest_wait_seconds=60.0)


def make_job(
    text: str = "",
    *,
    options: SearchOptions | None = None,
    truncate: bool = False,
    kind: TextKind = TextKind.QUERY,
    bulk: bool = False,
    cached: bool = True,
    seconds: float = math.inf,
    token_count: int | None = None,
) -> Job:
    """Creates a job on the running loop; with a `token_count` it is already tokenized."""
    job = Job(
        text=text,
        kind=kind,
        options=options,
        truncate=truncate,
        bulk=bulk,
        cached=cached,
        deadline=time.monotonic() + seconds,
    )
    if token_count is not None:
        job.tokens = Tokens(kind, [0] * token_count, token_count)
    return job


class WatchedBundle(Bundle):
    """A real bundle that records its batches, waits while `gate` is closed, and fails on the texts in `fails_on`."""

    def __init__(self, directory: Path, *, cutting: Cutting = DEFAULT_CUTTING) -> None:
        super().__init__(directory, cutting=cutting)
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[list[int]]] = []
        self.tokenizing_threads: list[str] = []
        self.fails_on: dict[str, BaseException] = {}
        self.slow_tokenizing = 0.0

    def tokenize(self, texts: Sequence[tuple[str, TextKind]]) -> list[Tokens]:
        self.tokenizing_threads.append(threading.current_thread().name)
        time.sleep(self.slow_tokenizing)
        return super().tokenize(texts)

    def encode(self, tokens: Sequence[Tokens]) -> NDArray[np.float32]:
        self.batches.append([each.ids for each in tokens])
        assert self.gate.wait(20), "the test never opened the gate"
        for text, error in self.fails_on.items():
            if self.ids_of(text) in [each.ids for each in tokens]:
                raise error
        return super().encode(tokens)

    def ids_of(self, text: str) -> list[int]:
        """Returns the token ids of a text, to find it in `batches`."""
        return super().tokenize([(text, TextKind.QUERY)])[0].ids

    def times_encoded(self, text: str) -> int:
        """Returns how often a text was encoded."""
        ids = self.ids_of(text)
        return sum(each == ids for batch in self.batches for each in batch)


def expire(*jobs: Job) -> None:
    """Makes the deadlines of jobs pass."""
    for job in jobs:
        job.deadline = 0.0


def take(queue: Queue) -> Batch:
    """Returns the next batch of an open queue."""
    batch = queue.take()
    assert batch is not None
    return batch


def found_by(job: Job) -> list[FoundDocument]:
    """Returns the hits of a job; empty if it was not searched."""
    return job.found.documents if job.found else []


def encode(bundle: Bundle, texts: Sequence[tuple[str, TextKind]]) -> NDArray[np.float32]:
    """Returns the vectors of some texts, without recording them."""
    return Bundle.encode(bundle, Bundle.tokenize(bundle, texts))


def versioned(bundle: Bundle, document: Document, sequence: int) -> Versioned:
    """Returns a version of a document with its vectors."""
    passages = passages_of(document, bundle)
    return Versioned(sequence, document, Vectors(passages.spans, encode(bundle, passages.texts)))


def empty_index(
    bundle: Bundle,
    *,
    options: DenseOptions | None = None,
    folder: Path | None = None,
    revision: str | None = None,
    weights: tuple[float, ...] = (1.0,),
) -> LiveIndex:
    """Returns an empty live index, whose files are next to the bundle unless a `folder` is given."""
    manifest = bundle.manifest
    folder = folder or Path(tempfile.mkdtemp(prefix="index-", dir=bundle.directory.parent))
    dense = DenseIndex(manifest.dimension, manifest.similarity, "f32", folder=folder, options=options)
    probes = EncodedProbes(lambda queries: encode(bundle, [(query, TextKind.QUERY) for query in queries]))
    return LiveIndex(revision or manifest.revision, dense, probes=probes, weights=weights)


def make_index(bundle: Bundle) -> LiveIndex:
    """Returns a live index of `DOCUMENTS`."""
    index = empty_index(bundle)
    added = [
        versioned(bundle, Document(id=str(sequence), title=title), sequence)
        for sequence, title in enumerate(DOCUMENTS, start=1)
    ]
    index.follow(added, [], sequence=len(added))
    return index


def local(index: ServedIndex) -> LiveIndex:
    """Returns an index that is in this process."""
    assert isinstance(index, LiveIndex)
    return index


def make_loaded(bundle: Bundle, store: Store, *, keeps: Callable[[str], bool] = keeps_all) -> Loaded:
    """Returns a model and an index of a store, as `load` makes them."""
    builder = IndexBuilder(store, bundle, threads=1, cancelled=threading.Event(), keeps=keeps)
    index = empty_index(bundle)
    builder.catch_up(index)
    return Loaded(bundle=bundle, index=index, builder=builder, new_index=lambda: empty_index(bundle))


def make_pipeline(
    bundle: Bundle,
    *,
    workers: int = 1,
    max_batch_tokens: int = 64,
    cache_bytes: int = 0,
    longest_wait_seconds: float = ENGINE_SETTINGS.longest_wait_seconds,
    metrics: Metrics | None = None,
    speed: Speed | None = None,
) -> Pipeline:
    """Returns a pipeline over `DOCUMENTS`, without a cache by default."""
    return Pipeline(
        bundle,
        make_index(bundle),
        replace(
            ENGINE_SETTINGS,
            encode_workers=workers,
            max_batch_tokens=max_batch_tokens,
            longest_wait_seconds=longest_wait_seconds,
        ),
        cache=EmbeddingCache(cache_bytes),
        speed=speed or Speed(),
        metrics=metrics or Metrics(workers=workers),
    )


async def held(pipeline: Pipeline, watched: WatchedBundle) -> asyncio.Task[Outcomes]:
    """Keeps the only worker busy until the test opens the gate."""
    watched.gate.clear()
    running = asyncio.create_task(pipeline.run([make_job("the worker is busy")]))
    await until(lambda: watched.batches)
    return running


async def until(condition: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Waits until a condition is true."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "the condition did not become true"
        await asyncio.sleep(0.001)
