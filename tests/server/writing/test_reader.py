import asyncio
import contextlib
from concurrent.futures import Future, wait
from typing import Any

import pytest

from server.attributes.filter import Equals
from server.catalogue.changes import Change, Delete, Stored, Upsert
from server.catalogue.document import Document
from server.catalogue.rules import PutRule, RuleKind
from server.catalogue.store import Store
from server.errors import NotFound, OutOfRange
from server.writing.reader import PORTION_CHANGES
from server.writing.rules import RuleChanges
from tests.server.making import until
from tests.server.writing.making import Core, summary, titled, upserts


class Watch:
    """Collects the changes of a watch."""

    def __init__(self, core: Core, after_sequence: int) -> None:
        self.portions: list[list[Change]] = []
        self._task = asyncio.create_task(self._watch(core, after_sequence))

    async def _watch(self, core: Core, after_sequence: int) -> None:
        async with contextlib.aclosing(core.reader.changes(after_sequence)) as changes:
            async for portion in changes:
                self.portions.append(list(portion))

    @property
    def changes(self) -> list[tuple[int, str, bool]]:
        """Sequence and id of each change, and whether it is a deletion."""
        return [(each.sequence, each.id, each.document is None) for portion in self.portions for each in portion]

    async def end(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


async def test_a_watch_yields_stored_and_then_new_changes(core: Core) -> None:
    await core.writer.upsert(upserts(titled("a"), titled("b"), titled("a", "again")))
    watch = Watch(core, 0)
    await until(lambda: watch.portions)
    assert watch.changes == [(2, "b", False), (3, "a", False)], "only the last change of each document"
    await core.writer.delete([Delete("b")])
    await core.writer.upsert(upserts(titled("c")))
    await until(lambda: len(watch.changes) == 4)
    assert watch.changes[2:] == [(4, "b", True), (5, "c", False)]
    assert watch.portions[-1][-1].document == titled("c")
    await watch.end()


async def test_a_watch_sends_nothing_for_a_rule_and_goes_on_after_it(core: Core) -> None:
    await core.writer.upsert(upserts(titled("a")))
    watch = Watch(core, 0)
    await until(lambda: watch.portions)
    rule = RuleChanges([PutRule(RuleKind.SYNONYM, "1", b"a -> b")])
    assert summary(await core.writer.change_rules(rule)) == [("1", 2, True, None)]
    late = Watch(core, 2)
    await core.writer.upsert(upserts(titled("b")))
    await until(lambda: len(watch.changes) == 2 and late.changes)
    assert (watch.changes[1:], late.changes) == ([(3, "b", False)], [(3, "b", False)])
    await watch.end()
    await late.end()


async def test_a_watch_reads_the_store_once_after_a_rule(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    await core.writer.change_rules(RuleChanges([PutRule(RuleKind.SYNONYM, "1", b"a -> b")]))
    reads = []
    read = core.store.changes

    def counted(*arguments: Any, **options: Any) -> list[Change]:
        reads.append(arguments)
        return read(*arguments, **options)

    monkeypatch.setattr(core.store, "changes", counted)
    watch = Watch(core, 0)
    await until(lambda: reads)
    await core.writer.upsert(upserts(titled("a")))
    await until(lambda: watch.changes)
    assert len(reads) == 2, "once after the rule, and once after the document"
    await watch.end()


async def test_every_watch_yields_every_document(core: Core) -> None:
    watches = [Watch(core, 0) for _ in range(5)]
    await asyncio.gather(*(core.writer.upsert(upserts(titled(f"{number}"))) for number in range(50)))
    await until(lambda: all(len(watch.changes) == 50 for watch in watches))
    for watch in watches:
        sequences = [sequence for sequence, _, _ in watch.changes]
        assert sequences == sorted(sequences) == list(range(1, 51))
        await watch.end()


async def test_a_watch_resumes_where_another_ended(core: Core) -> None:
    await core.writer.upsert(upserts(*(titled(f"{number}") for number in range(3 * PORTION_CHANGES))))
    watch = Watch(core, PORTION_CHANGES + 1)
    await until(lambda: len(watch.changes) == 2 * PORTION_CHANGES - 1)
    assert [sequence for sequence, _, _ in watch.changes] == list(range(PORTION_CHANGES + 2, 3 * PORTION_CHANGES + 1))
    assert max(map(len, watch.portions)) <= PORTION_CHANGES
    await watch.end()


async def test_a_sequence_of_another_store_is_rejected(core: Core) -> None:
    with pytest.raises(OutOfRange, match=r"has not had the change 7: .* watch again from 0"):
        await anext(core.reader.changes(7))


async def test_a_filtered_page_misses_no_document_that_changes(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    def documents(title: str) -> list[Upsert]:
        return upserts(*(Document(id=id, title=title, attributes={"n": 1}) for id in "abc"))

    await core.writer.upsert(documents("before"))
    read_page, loop = Store.page, asyncio.get_running_loop()
    changing: list[Future[Any]] = []

    def page_after_a_change(store: Store, *arguments: Any, **options: Any) -> list[Stored]:
        changing.append(asyncio.run_coroutine_threadsafe(core.writer.upsert(documents(f"{len(changing)}")), loop))
        wait(changing)
        return read_page(store, *arguments, **options)

    monkeypatch.setattr(Store, "page", page_after_a_change)
    page = await core.reader.list(filter=Equals("n", 1), after_id="", limit=5)
    assert [stored.document.id for stored in page] == ["a", "b", "c"]
    await asyncio.wrap_future(changing[-1])


async def test_documents_are_read_by_id_and_by_page(core: Core) -> None:
    documents = [Document(id=f"{number:03}", title="환율", attributes={"n": number % 3}) for number in range(50)]
    await core.writer.upsert(upserts(*documents))
    assert (await core.reader.get("007")).document == documents[7]
    with pytest.raises(NotFound):
        await core.reader.get("7")
    await core.writer.delete([Delete("003"), Delete("004")])
    page = await core.reader.list(filter=None, after_id="001", limit=4)
    assert [stored.document.id for stored in page] == ["002", "005", "006", "007"]
    among = await core.reader.list(filter=Equals("n", 0), after_id="", limit=3)
    assert [stored.document.id for stored in among] == ["000", "006", "009"]
    assert await core.reader.list(filter=Equals("n", 5), after_id="", limit=3) == []
