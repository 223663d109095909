"""ImportDocuments on a real grpc.aio server: resumed, taken over, cancelled and rejected."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import pytest

from chaja.v1 import Document, ImportDocumentsRequest, ImportDocumentsResponse, Upsert
from server.catalogue.changes import Outcome
from server.catalogue.changes import Upsert as Write
from server.errors import NotReady, StoreFull
from tests.server.making import until
from tests.server.rpc.memory_store import Served, serving_catalog

Code = grpc.StatusCode


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving_catalog() as served:
        yield served


def message(*ids: str, position: int | None = None) -> ImportDocumentsRequest:
    upserts = [Upsert(document=Document(id=id, examples=["x"])) for id in ids]
    return ImportDocumentsRequest(upserts=upserts, position=position)


class Importing:
    """A call of a client."""

    def __init__(self, served: Served, import_id: str = "list") -> None:
        self.call: Any = served.catalog.ImportDocuments()
        self.import_id = import_id

    @classmethod
    async def begun(cls, served: Served) -> "Importing":
        """Returns a call that has begun."""
        importing = cls(served)
        await importing.begin()
        return importing

    async def begin(self) -> int:
        return (await self.send(ImportDocumentsRequest(import_id=self.import_id))).position

    async def send(self, request: ImportDocumentsRequest) -> ImportDocumentsResponse:
        await self.call.write(request)
        answer = await asyncio.wait_for(self.call.read(), 5)
        if not isinstance(answer, ImportDocumentsResponse):
            raise AssertionError(f"{await self.call.code()}: {await self.call.details()}")
        return answer

    async def end(self) -> None:
        await self.call.done_writing()
        assert await asyncio.wait_for(self.call.read(), 5) is grpc.aio.EOF
        assert await self.call.code() is Code.OK

    async def ended(self, code: Code, words: str) -> None:
        with pytest.raises(grpc.aio.AioRpcError, match=words) as raised:
            await asyncio.wait_for(self.call.read(), 5)
        assert raised.value.code() is code


async def test_an_import_writes_its_documents_in_order(served: Served) -> None:
    importing = Importing(served)
    assert await importing.begin() == 0
    answer = await importing.send(message("a", "b"))
    assert answer.position == 2
    assert [(each.id, each.version, each.changed) for each in answer.results] == [("a", 1, True), ("b", 2, True)]
    assert (await importing.send(message("c"))).position == 3
    await importing.end()
    assert list(served.store.stored) == ["a", "b", "c"]


async def test_an_import_resumes_where_it_was_interrupted(served: Served) -> None:
    first = await Importing.begun(served)
    await first.send(message("a", "b"))
    first.call.cancel()
    second = Importing(served)
    assert await second.begin() == 2
    assert (await second.send(message("c"))).position == 3
    assert await Importing(served, "another list").begin() == 0


async def test_rejected_documents_count_for_the_position(served: Served) -> None:
    importing = await Importing.begun(served)
    answer = await importing.send(message("a", "", "c"))
    assert answer.position == 3
    assert [each.error.reason for each in answer.results] == ["", "INVALID_REQUEST", ""]
    answer = await importing.send(message("", ""))
    assert answer.position == served.store.positions["list"] == 5


async def test_documents_may_be_repeated_but_not_skipped(served: Served) -> None:
    importing = await Importing.begun(served)
    await importing.send(message("a", "b", "c", position=0))
    answer = await importing.send(message("b", position=1))
    assert (answer.position, answer.results[0].changed) == (3, False)
    assert (await importing.send(message("c", "d"))).position == 4, "the new document follows the repeated one"
    await importing.call.write(message("f", position=5))
    await importing.ended(Code.INVALID_ARGUMENT, "position: is 5; the import is at 4: continue from there")


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        ([], "import_id: is empty"),
        ([message("a")], "import_id: is empty"),
        ([ImportDocumentsRequest(import_id="x" * 257)], "import_id: has 257 characters"),
        ([ImportDocumentsRequest(import_id="x", upserts=message("a").upserts)], "upserts: is set in the first message"),
    ],
)
async def test_the_first_message_of_an_import_has_only_its_id(
    served: Served, requests: list[ImportDocumentsRequest], words: str
) -> None:
    importing = Importing(served)
    for each in requests:
        await importing.call.write(each)
    await importing.call.done_writing()
    await importing.ended(Code.INVALID_ARGUMENT, words)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (message(), "upserts: has 0 elements"),
        (message(*"abcdef"), "upserts: has 6 elements"),
        (message("a", position=-1), "position: is -1"),
        (ImportDocumentsRequest(import_id="list", upserts=message("a").upserts), "import_id: is set again"),
    ],
)
async def test_an_invalid_message_ends_an_import_and_is_not_written(
    served: Served, request_: ImportDocumentsRequest, words: str
) -> None:
    importing = await Importing.begun(served)
    await importing.call.write(request_)
    await importing.ended(Code.INVALID_ARGUMENT, words)
    assert not served.store.writes


async def test_a_takeover_waits_for_the_running_write(served: Served) -> None:
    first, second, third = Importing(served), Importing(served), Importing(served)
    await first.begin()
    served.store.gate.clear()
    await first.call.write(message("a", "b"))
    await until(lambda: served.store.writes)
    beginnings = []
    for each in (second, third):
        beginnings.append(asyncio.create_task(each.begin()))
        await asyncio.sleep(0.05)
    assert not any(beginning.done() for beginning in beginnings)
    served.store.gate.set()
    assert await beginnings[1] == 2
    assert await beginnings[0] == 2
    await second.ended(Code.ABORTED, "another call")
    assert (await third.send(message("c"))).position == 3
    assert list(served.store.stored) == ["a", "b", "c"]


async def test_a_write_finishes_after_its_client_has_disconnected(served: Served) -> None:
    first, second = Importing(served), Importing(served)
    await first.begin()
    served.store.gate.clear()
    await first.call.write(message("a", "b"))
    await until(lambda: served.store.writes)
    first.call.cancel()
    await asyncio.sleep(0.05)
    beginning = asyncio.create_task(second.begin())
    await asyncio.sleep(0.05)
    assert not beginning.done()
    served.store.gate.set()
    assert await beginning == 2


async def test_a_full_disk_ends_an_import_after_the_written_documents(served: Served) -> None:
    importing = await Importing.begun(served)
    await importing.send(message("a"))
    served.store.error = StoreFull("the disk is full")
    await importing.call.write(message("b"))
    await importing.ended(Code.RESOURCE_EXHAUSTED, "the disk is full")
    served.store.error = None
    assert await Importing(served).begin() == 1


async def test_a_server_that_shuts_down_answers_the_running_write(served: Served) -> None:
    writing, waiting = Importing(served), Importing(served, "another")
    await writing.begin()
    await waiting.begin()
    served.store.gate.clear()
    await writing.call.write(message("a"))
    await until(lambda: served.store.writes)
    served.calls.end_waiting(NotReady("shutting down"))
    await waiting.ended(Code.UNAVAILABLE, "shutting down")
    served.store.gate.set()
    assert (await asyncio.wait_for(writing.call.read(), 5)).position == 1
    await writing.ended(Code.UNAVAILABLE, "shutting down")


@pytest.mark.parametrize("seed", range(3))
async def test_repeated_takeovers_skip_no_document_and_write_none_twice(served: Served, seed: int) -> None:
    chance, ids = random.Random(seed), [f"{number:03}" for number in range(150)]
    write, steps, beginnings = served.store.import_documents, [], 0

    async def slowly(import_id: str, position: int, upserts: Sequence[Write], *, holder: str) -> list[Outcome]:
        steps.append((served.store.positions.get(import_id, 0), position - len(upserts)))
        await asyncio.sleep(chance.random() * 0.002)
        return await write(import_id, position, upserts, holder=holder)

    served.store.import_documents = slowly  # type: ignore[method-assign]

    async def client() -> None:
        nonlocal beginnings
        while len(served.store.stored) < len(ids):
            importing = Importing(served)
            with contextlib.suppress(grpc.aio.AioRpcError, AssertionError, asyncio.InvalidStateError):
                position, beginnings = await importing.begin(), beginnings + 1
                while position < len(ids) and chance.random() > 0.1:
                    part = ids[position : position + chance.randint(1, 5)]
                    position = (await importing.send(message(*part))).position
            importing.call.cancel()
            await asyncio.sleep(chance.random() * 0.01)

    async with asyncio.timeout(60):
        await asyncio.gather(*(client() for _ in range(4)))
    assert [change.id for change in served.store.log] == ids
    assert all(reached == begins for reached, begins in steps)
    assert beginnings > 10


async def test_a_client_that_sends_without_reading_is_slowed_down(served: Served) -> None:
    importing = await Importing.begun(served)
    served.store.gate.clear()
    large = message(*"abcde")
    for upsert in large.upserts:
        upsert.document.examples[0] = "x" * 200_000
    sent = 0

    async def send() -> None:
        nonlocal sent
        for _ in range(20):
            await importing.call.write(large)
            sent += 1

    sending = asyncio.create_task(send())
    await asyncio.sleep(0.3)
    assert sent < 10, "each message has a megabyte"
    served.store.gate.set()
    await sending
    await importing.call.done_writing()
    positions = []
    while (answer := await importing.call.read()) is not grpc.aio.EOF:
        positions.append(answer.position)
    assert positions == list(range(5, 101, 5))
