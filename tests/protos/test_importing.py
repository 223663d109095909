import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc
import pytest

import chaja
from chaja.importing import MESSAGE_BYTES, MESSAGE_DOCUMENTS
from chaja.v1 import Document, Upsert, WriteResult
from server.catalogue.changes import Outcome
from server.catalogue.changes import Upsert as Write
from server.errors import ChajaError, NotReady, StoreFull
from tests.server.rpc.memory_store import Served, serving_catalog


def upserts_of(count: int, *, characters: int = 5) -> list[Upsert]:
    return [Upsert(document=Document(id=f"{number:05}", examples=["x" * characters])) for number in range(count)]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving_catalog(max_write_documents=MESSAGE_DOCUMENTS) as served:
        yield served


async def imported(served: Served, upserts: list[Upsert], *, attempts: int = 10) -> list[WriteResult]:
    def run() -> list[WriteResult]:
        with chaja.connect(served.address) as client:
            return list(chaja.import_documents(client, upserts, import_id="list", max_attempts=attempts))

    return await asyncio.to_thread(run)


class Failing:
    """Makes some writes of a store fail, before or after writing."""

    def __init__(self, served: Served, error: ChajaError, *, fails: set[int], after: bool) -> None:
        self._write = served.store.import_documents
        self._error, self._fails, self._after = error, fails, after
        self.calls = 0
        served.store.import_documents = self.import_documents  # type: ignore[method-assign]

    async def import_documents(
        self, import_id: str, position: int, upserts: Sequence[Write], *, holder: str
    ) -> list[Outcome]:
        self.calls += 1
        fails = self.calls in self._fails
        if fails and not self._after:
            raise self._error
        outcomes = await self._write(import_id, position, upserts, holder=holder)
        if fails:
            raise self._error
        return outcomes


@pytest.mark.parametrize("count", [0, 1, MESSAGE_DOCUMENTS, 1234])
async def test_every_document_gets_a_result_in_its_order(served: Served, count: int) -> None:
    upserts = upserts_of(count)
    results = await imported(served, upserts)
    assert [result.id for result in results] == [upsert.document.id for upsert in upserts]
    assert len(served.store.stored) == count
    assert await imported(served, upserts) == [], "the server has them"


async def test_messages_are_bounded_in_bytes(served: Served) -> None:
    upserts = upserts_of(10, characters=MESSAGE_BYTES * 2 // 5)
    assert len(await imported(served, upserts)) == 10
    assert served.store.writes == [2] * 5


@pytest.mark.parametrize("after", [False, True])
async def test_an_import_resumes_after_failures_without_losing_a_result(served: Served, after: bool) -> None:
    upserts = upserts_of(1500)
    upserts[700].document.id = ""
    failing = Failing(served, NotReady("restarting"), fails={1, 3, 4, 7}, after=after)
    results = await imported(served, upserts)
    assert [result.id for result in results] == [upsert.document.id for upsert in upserts]
    assert [at for at, result in enumerate(results) if result.HasField("error")] == [700]
    assert len(served.store.stored) == 1499
    assert len(served.store.log) == 1499, "repeated documents change nothing"
    assert failing.calls >= 12


async def test_a_permanent_error_is_raised(served: Served) -> None:
    Failing(served, StoreFull("the disk is full"), fails={3}, after=False)
    with pytest.raises(grpc.RpcError, match="the disk is full"):
        await imported(served, upserts_of(1000))
    assert served.store.positions["list"] == 2 * MESSAGE_DOCUMENTS
    assert len(await imported(served, upserts_of(1000))) == 1000 - 2 * MESSAGE_DOCUMENTS


async def test_an_import_without_progress_is_given_up(served: Served) -> None:
    failing = Failing(served, NotReady("down"), fails=set(range(100)), after=False)
    with pytest.raises(grpc.RpcError, match="down"):
        await imported(served, upserts_of(3), attempts=3)
    assert failing.calls == 3
