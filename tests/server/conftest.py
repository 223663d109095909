"""Fixtures of the serving core: bundles, a store, and pipelines; all are closed after the test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from server.batching.pipeline import Pipeline
from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.metrics import Metrics
from tests.server.making import WatchedBundle, make_pipeline
from tests.tiny_bundle import make_bundle


@pytest.fixture
def watched(tiny_bundle: Path) -> WatchedBundle:
    return WatchedBundle(tiny_bundle)


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model."""
    return make_bundle(tmp_path_factory.mktemp("other") / "bundle", seed=8)


@pytest.fixture(scope="session")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle(tiny_bundle)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(tmp_path)) as store:
        yield store


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(workers=4)


@pytest.fixture
async def new_pipeline(watched: WatchedBundle, metrics: Metrics) -> AsyncIterator[Callable[..., Pipeline]]:
    """Creates pipelines over the recording bundle, with the options of `make_pipeline`."""
    pipelines: list[Pipeline] = []

    def make(**options: object) -> Pipeline:
        pipelines.append(make_pipeline(watched, metrics=metrics, **options))  # type: ignore[arg-type]
        return pipelines[-1]

    yield make
    watched.gate.set()
    for pipeline in pipelines:
        await asyncio.to_thread(pipeline.close)


@pytest.fixture
async def pipeline(new_pipeline: Callable[..., Pipeline]) -> Pipeline:
    """A pipeline with one worker and no cache."""
    return new_pipeline()
