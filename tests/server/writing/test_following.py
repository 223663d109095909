"""Tests that the index follows changes of the store that this server has not made, or does not know to be made."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from server.catalogue.databases.postgresql import database, head
from server.catalogue.location import DatabaseUrl
from server.catalogue.store import Store
from server.errors import StoreUnavailable
from server.writing import live_catalogue
from tests.postgresql import Cluster
from tests.server.making import until
from tests.server.writing.making import Core, running, titled, upserts


@pytest.fixture
def url(cluster: Cluster) -> DatabaseUrl:
    return cluster.new_database()


@pytest.fixture
async def core(
    tmp_path: Path, titled_bundle: Path, url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Core]:
    monkeypatch.setattr(live_catalogue, "MAINTENANCE_SECONDS", 0.05)
    async with running(tmp_path / "index", titled_bundle, location=url) as core:
        yield core


@pytest.fixture
def other(url: DatabaseUrl) -> Iterator[Store]:
    with contextlib.closing(Store(url)) as store:
        yield store


async def test_a_change_of_another_process_is_found(core: Core, other: Store) -> None:
    await core.writer.upsert(upserts(titled("a", "환율"), titled("b", "환율")))
    vectors = other.versioned(["a"], core.bundle.manifest.revision)["a"].vectors
    assert vectors is not None
    with other.write() as transaction:
        transaction.delete("a")
        transaction.put(titled("c", "환율"), vectors, revision=core.bundle.manifest.revision)
    await until(lambda: core.slot.engine.index.state.sequence == 4)
    assert sorted(await core.found("환율")) == ["b", "c"]


async def test_a_write_on_an_older_state_is_refused_and_then_made(
    tmp_path: Path, titled_bundle: Path, url: DatabaseUrl, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_catalogue, "MAINTENANCE_SECONDS", 600.0)
    async with running(tmp_path / "index", titled_bundle, location=url) as core:
        await core.writer.upsert(upserts(titled("a", "환율")))
        with other.write() as transaction:
            transaction.delete("a")
        with pytest.raises(StoreUnavailable, match="has changed meanwhile"):
            await core.writer.upsert(upserts(titled("b", "환율")))
        assert [each.id for each in await core.writer.upsert(upserts(titled("b", "환율")))] == ["b"]
        assert await core.found("환율") == ["b"]


async def test_a_commit_whose_end_was_unknown_is_found(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    def commit_unheard(*arguments: object) -> None:
        head.commit_at(*arguments)  # type: ignore[arg-type]
        raise psycopg.OperationalError("the connection is lost")

    with monkeypatch.context() as patched:
        patched.setattr(database, "commit_at", commit_unheard)
        with pytest.raises(StoreUnavailable):
            await core.writer.upsert(upserts(titled("a", "환율")), request_id="call")
    await until(lambda: core.slot.engine.index.state.sequence == 1)
    assert await core.found("환율") == ["a"]
    (outcome,) = await core.writer.upsert(upserts(titled("a", "환율")), request_id="call")
    assert (outcome.version, outcome.changed) == (1, True), "the repeated call gets the first one's outcome"
    assert core.store.sequence == 1
