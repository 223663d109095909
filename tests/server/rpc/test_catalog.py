"""CatalogService on a real grpc.aio server, with a store in memory."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import chaja
from chaja.v1 import (
    AttributeValue,
    Delete,
    DeleteDocumentsRequest,
    Document,
    Equals,
    Exists,
    Filter,
    FilterList,
    GetDocumentRequest,
    ImportDocumentsRequest,
    ListDocumentsRequest,
    LocalizedText,
    Upsert,
    UpsertDocumentsRequest,
    WatchChangesRequest,
)
from server.errors import NotReady, ReadOnly, StoreFull
from server.security.tokens import AccessTokens
from tests.server.rpc.memory_store import Served, serving_catalog

Code = grpc.StatusCode
CARDS = Filter(equals=Equals(attribute="category", value=AttributeValue(string_value="card")))


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving_catalog() as served:
        yield served


def document(id: str, title: str = "환율") -> Document:
    return Document(id=id, titles=[LocalizedText(language_code="ko", text=title)])


def upserts(*ids: str, title: str = "환율") -> UpsertDocumentsRequest:
    return UpsertDocumentsRequest(upserts=[Upsert(document=document(id, title)) for id in ids])


async def refused(call: Any, code: Code, words: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match=words) as raised:
        await call
    assert raised.value.code() is code


async def test_a_filter_on_an_attribute_that_no_document_has_is_warned_of(served: Served) -> None:
    card = Document(id="a", titles=[LocalizedText(text="A")])
    card.attributes.update({"category": "card"})
    await served.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[Upsert(document=card)]))
    misspelt = Filter(exists=Exists(attribute="catgeory"))
    warning = "filter.exists: no document has the attribute 'catgeory'; perhaps 'category' is meant"
    page = await served.catalog.ListDocuments(ListDocumentsRequest(filter=misspelt))
    assert (list(page.documents), list(page.warnings)) == ([], [warning])
    deleted = await served.catalog.DeleteDocuments(DeleteDocumentsRequest(filter=misspelt))
    assert (deleted.deleted_count, list(deleted.warnings)) == (0, [warning])
    page = await served.catalog.ListDocuments(ListDocumentsRequest(filter=CARDS))
    assert (len(page.documents), list(page.warnings)) == (1, [])
    deleted = await served.catalog.DeleteDocuments(DeleteDocumentsRequest(filter=CARDS))
    assert (deleted.deleted_count, list(deleted.warnings)) == (1, [])


async def test_a_written_document_can_be_read(served: Served) -> None:
    written = Document(
        id="card lost",
        titles=[LocalizedText(language_code="ko", text="카드 분실"), LocalizedText(language_code="en", text="Lost")],
        texts=[LocalizedText(text="עברית 🙂")],
        examples=["지갑", "각"],
    )
    written.attributes.update({"category": "card", "age": 14, "ratio": 0.5, "open": True, "tags": ["a", 1, False]})
    response = await served.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[Upsert(document=written)]))
    (result,) = response.results
    assert (result.id, result.version, result.changed) == ("card lost", 1, True)
    assert not result.HasField("error")
    read = (await served.catalog.GetDocument(GetDocumentRequest(id="card lost"))).document
    written.version = 1
    assert read == written


async def test_an_invalid_document_gets_an_error_in_its_place(served: Served) -> None:
    request = upserts("a", "", "c")
    request.upserts.add(document=document("d")).expected_version = 7
    results = (await served.catalog.UpsertDocuments(request)).results
    assert [(each.version, each.changed) for each in results] == [(1, True), (0, False), (2, True), (0, False)]
    assert [each.error.reason for each in results] == ["", "INVALID_REQUEST", "", "CONFLICT"]
    assert [each.error.code for each in results] == [0, 3, 0, 10]
    assert results[1].error.message.startswith("upserts[1].document.id: is empty")
    assert results[3].error.message == "document 'd' does not exist; version 7 was expected: read it again"
    assert served.store.writes == [3]


async def test_the_request_id_is_passed_on_so_that_a_call_can_be_repeated(served: Served) -> None:
    request = upserts("a")
    request.request_id = "r1"
    await served.catalog.UpsertDocuments(request)
    await served.catalog.DeleteDocuments(DeleteDocumentsRequest(deletes=[Delete(id="a")], request_id="r2"))
    await served.catalog.DeleteDocuments(DeleteDocumentsRequest(filter=CARDS, request_id="r3"))
    assert served.store.request_ids == ["r1", "r2", "r3"]


async def test_documents_are_deleted_by_their_ids(served: Served) -> None:
    await served.catalog.UpsertDocuments(upserts("a", "b"))
    response = await served.catalog.DeleteDocuments(DeleteDocumentsRequest(deletes=[Delete(id="a"), Delete(id="x")]))
    assert [(each.id, each.version, each.changed) for each in response.results] == [("a", 3, True), ("x", 0, False)]
    assert response.deleted_count == 1
    await refused(served.catalog.GetDocument(GetDocumentRequest(id="a")), Code.NOT_FOUND, "there is no document 'a'")


async def test_an_invalid_deletion_gets_an_error_in_its_place_and_the_others_are_done(served: Served) -> None:
    await served.catalog.UpsertDocuments(upserts("a", "b"))
    deletes = [
        Delete(id="a"),
        Delete(id=" "),
        Delete(id="b", expected_version=-1),
        Delete(id="x" * 300),
        Delete(id="b"),
    ]
    response = await served.catalog.DeleteDocuments(DeleteDocumentsRequest(deletes=deletes))
    assert [each.changed for each in response.results] == [True, False, False, False, True]
    assert [each.error.message.partition(":")[0] for each in response.results] == [
        "", "deletes[1].id", "deletes[2].expected_version", "deletes[3].id", ""
    ]  # fmt: skip
    assert response.deleted_count == 2
    none = DeleteDocumentsRequest(deletes=[Delete(id=""), Delete(id="c", expected_version=1)])
    results = (await served.catalog.DeleteDocuments(none)).results
    assert [each.error.reason for each in results] == ["INVALID_REQUEST", "CONFLICT"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (DeleteDocumentsRequest(), "deletes: has 0 elements"),
        (DeleteDocumentsRequest(filter=Filter()), "filter: has no condition"),
        (DeleteDocumentsRequest(deletes=[Delete(id="a")], filter=Filter()), "filter: is set together with deletes"),
        (DeleteDocumentsRequest(deletes=[Delete(id="a")] * 6), "deletes: has 6 elements"),
        (DeleteDocumentsRequest(deletes=[Delete(id="a")], request_id="x" * 257), "request_id: has 257 characters"),
    ],
)
async def test_an_invalid_deletion_call_is_rejected(
    served: Served, request_: DeleteDocumentsRequest, words: str
) -> None:
    await refused(served.catalog.DeleteDocuments(request_), Code.INVALID_ARGUMENT, words)
    assert not served.store.writes


async def test_a_request_with_too_many_documents_is_rejected(served: Served) -> None:
    for count in (0, 6):
        call = served.catalog.UpsertDocuments(upserts(*"abcdef"[:count]))
        await refused(call, Code.INVALID_ARGUMENT, f"upserts: has {count} elements; it must have 1 to 5")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ReadOnly("no --data"), Code.FAILED_PRECONDITION, "no --data"),
        (StoreFull("the disk is full"), Code.RESOURCE_EXHAUSTED, "the disk is full"),
        (NotReady("loading"), Code.UNAVAILABLE, "loading"),
    ],
)
async def test_an_error_of_the_whole_call_ends_the_call(served: Served, error: Any, code: Code, words: str) -> None:
    served.store.error = error
    await refused(served.catalog.UpsertDocuments(upserts("a")), code, words)


async def test_pages_return_every_document_once_in_the_order_of_ids(served: Served) -> None:
    ids = [f"문서 {number:03}" for number in range(75)] + ["🙂", "A"]
    for start in range(0, len(ids), 5):
        await served.catalog.UpsertDocuments(upserts(*ids[start : start + 5]))
    for size in (1, 7, 11, 76, 77, 100):
        seen, token, pages = [], "", 0
        while True:
            page = await served.catalog.ListDocuments(ListDocumentsRequest(page_size=size, page_token=token))
            assert len(page.documents) <= size
            seen += [each.id for each in page.documents]
            token, pages = page.next_page_token, pages + 1
            if not token:
                break
        assert seen == sorted(ids)
        assert pages == -(-len(ids) // size)


async def test_a_page_of_large_documents_ends_early(served: Served) -> None:
    for id in "abc":
        await served.catalog.UpsertDocuments(upserts(id, title="x" * 900_000))
    first = await served.catalog.ListDocuments(ListDocumentsRequest())
    assert [each.id for each in first.documents] == ["a", "b"]
    second = await served.catalog.ListDocuments(ListDocumentsRequest(page_token=first.next_page_token))
    assert ([each.id for each in second.documents], second.next_page_token) == (["c"], "")


async def with_categories(served: Served) -> None:
    request = upserts("a", "b", "c", "d")
    for upsert, category in zip(request.upserts, ["card", "loan", "card", "card"], strict=True):
        upsert.document.attributes.update({"category": category})
    await served.catalog.UpsertDocuments(request)


async def test_pages_hold_only_documents_that_match_the_filter(served: Served) -> None:
    await with_categories(served)
    first = await served.catalog.ListDocuments(ListDocumentsRequest(page_size=2, filter=CARDS))
    assert [each.id for each in first.documents] == ["a", "c"]
    token = first.next_page_token
    second = await served.catalog.ListDocuments(ListDocumentsRequest(page_token=token, filter=CARDS))
    assert ([each.id for each in second.documents], second.next_page_token) == (["d"], "")
    call = served.catalog.ListDocuments(ListDocumentsRequest(page_token=token))
    await refused(call, Code.INVALID_ARGUMENT, "page_token: belongs to another list or filter")


async def test_documents_that_match_a_filter_are_deleted(served: Served) -> None:
    await with_categories(served)
    response = await served.catalog.DeleteDocuments(DeleteDocumentsRequest(filter=CARDS))
    assert (response.deleted_count, list(response.results)) == (3, [])
    assert list(served.store.stored) == ["b"]


async def test_an_invalid_filter_is_named_by_its_path(served: Served) -> None:
    wrong = Filter(all_of=FilterList(filters=[CARDS, Filter(exists=Exists())]))
    for call in (
        served.catalog.DeleteDocuments(DeleteDocumentsRequest(filter=wrong)),
        served.catalog.ListDocuments(ListDocumentsRequest(filter=wrong)),
    ):
        await refused(call, Code.INVALID_ARGUMENT, r"filter\.all_of\.filters\[1\]\.exists\.attribute: is empty")


@pytest.mark.parametrize("token", ["x", "!!!!", "AAAA", "AAAAAA==", "글", "_____w=="])
async def test_an_invalid_page_token_is_rejected(served: Served, token: str) -> None:
    call = served.catalog.ListDocuments(ListDocumentsRequest(page_token=token))
    await refused(call, Code.INVALID_ARGUMENT, "page_token: is not a token of this service")


async def test_a_watch_returns_past_and_new_changes(served: Served) -> None:
    await served.catalog.UpsertDocuments(upserts("a", "b"))
    watch = served.catalog.WatchChanges(WatchChangesRequest(after_sequence=1))

    async def next_change() -> Any:
        (change,) = (await asyncio.wait_for(watch.read(), 5)).changes
        return change

    assert (await next_change()).document.id == "b"
    await served.catalog.DeleteDocuments(DeleteDocumentsRequest(deletes=[Delete(id="a")]))
    change = await next_change()
    assert (change.sequence, change.deleted_id) == (3, "a")
    await served.catalog.UpsertDocuments(upserts("a", title="again"))
    change = await next_change()
    assert (change.sequence, change.document.version, change.document.titles[0].text) == (4, 4, "again")
    watch.cancel()


async def test_a_message_of_changes_is_bounded_by_its_bytes(served: Served) -> None:
    for number in range(0, 100, 5):
        await served.catalog.UpsertDocuments(upserts(*(f"{number + each:03}" for each in range(5))))
    for id in "abc":
        await served.catalog.UpsertDocuments(upserts(id, title="x" * 200_000))
    watch = served.catalog.WatchChanges(WatchChangesRequest())
    counts: list[int] = []
    sequences: list[int] = []
    while len(sequences) < 103:
        response = await asyncio.wait_for(watch.read(), 5)
        counts.append(len(response.changes))
        sequences += [change.sequence for change in response.changes]
    assert sequences == list(range(1, 104))
    assert counts == [50, 50, 1, 1, 1]
    watch.cancel()


async def test_a_watch_from_an_invalid_sequence_is_rejected(served: Served) -> None:
    ahead = served.catalog.WatchChanges(WatchChangesRequest(after_sequence=1))
    await refused(ahead.read(), Code.OUT_OF_RANGE, "the catalogue is only at 0")
    negative = served.catalog.WatchChanges(WatchChangesRequest(after_sequence=-1))
    await refused(negative.read(), Code.INVALID_ARGUMENT, "after_sequence: is -1")


async def test_watches_end_and_new_ones_are_rejected_when_the_server_shuts_down(served: Served) -> None:
    await served.catalog.UpsertDocuments(upserts("a"))
    watch = served.catalog.WatchChanges(WatchChangesRequest())
    await watch.read()
    served.calls.end_waiting(NotReady("shutting down"))
    await refused(asyncio.wait_for(watch.read(), 5), Code.UNAVAILABLE, "shutting down")
    await refused(served.catalog.WatchChanges(WatchChangesRequest()).read(), Code.UNAVAILABLE, "shutting down")
    await served.catalog.UpsertDocuments(upserts("b"))  # Unary calls are still accepted: they end soon.


@pytest.mark.parametrize(("role", "code"), [("search", Code.PERMISSION_DENIED), ("write", None)])
async def test_every_kind_of_call_carries_the_token_and_needs_the_role(
    tmp_path: Path, role: str, code: Code | None
) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"{role} app {'t' * 16}\n", encoding="utf-8")

    async def begin_import(catalog: Any, *, taken: bool) -> Any:
        call = catalog.ImportDocuments()
        if taken:  # Writing to a call that is being rejected is an internal error of grpc.aio.
            await call.write(ImportDocumentsRequest(import_id="x"))
        return await call.read()

    async def calls(catalog: Any, *, taken: bool) -> AsyncIterator[Any]:
        yield catalog.UpsertDocuments(upserts("a"))
        yield catalog.GetDocument(GetDocumentRequest(id="a"))
        yield catalog.WatchChanges(WatchChangesRequest()).read()
        yield begin_import(catalog, taken=taken)

    def blocking(address: str) -> None:
        with chaja.connect(address, token="t" * 16) as client:
            assert client.catalog.GetDocument(GetDocumentRequest(id="a")).document.id == "a"
            next(client.catalog.WatchChanges(WatchChangesRequest()))
            assert [each.position for each in client.catalog.ImportDocuments(iter([first]))] == [0]

    first = ImportDocumentsRequest(import_id="y")
    async with serving_catalog(AccessTokens(path)) as served:
        async with chaja.connect_async(served.address, token="t" * 16) as client:
            async for call in calls(client.catalog, taken=code is None):
                if code is not None:
                    await refused(call, code, f"the token's role is {role}; this method needs write")
                else:
                    assert await call
        if code is None:
            await asyncio.to_thread(blocking, served.address)
        async for call in calls(served.catalog, taken=False):
            await refused(call, Code.UNAUTHENTICATED, "send a valid token")
