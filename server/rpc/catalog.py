"""CatalogService: reads and writes documents."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from chaja.v1 import (
    CatalogServiceServicer,
    DeleteDocumentsRequest,
    DeleteDocumentsResponse,
    GetDocumentRequest,
    GetDocumentResponse,
    ImportDocumentsRequest,
    ImportDocumentsResponse,
    ListDocumentsRequest,
    ListDocumentsResponse,
    UpsertDocumentsRequest,
    UpsertDocumentsResponse,
    WatchChangesRequest,
    WatchChangesResponse,
    WriteResult,
)
from chaja.v1 import Delete as DeleteMessage
from chaja.v1 import Upsert as UpsertMessage
from server.call_context import CallContext
from server.catalogue.changes import Change, Delete, Outcome, Stored, Upsert
from server.errors import InvalidRequest, ResponseTooLarge, Violation
from server.rpc.background import Background
from server.rpc.documents import to_change, to_delete, to_message, to_result, to_upsert
from server.rpc.filters import to_filter
from server.rpc.imports import Imports
from server.rpc.interruption import Interruption
from server.rpc.limits import RESERVED_BYTES, Limits, check_name, count_violations, raise_any
from server.rpc.masks import DOCUMENTS, Mask
from server.rpc.pages import PAGE_BYTES, id_before, page_token
from server.rpc.wire import ELEMENT_BYTES, embedded
from server.writing.reader import Reader
from server.writing.writer import Writer

PORTION_DOCUMENTS = 32
"""Documents of a page that are read at a time."""

CHANGES_BYTES = 256 * 1024
"""Maximum size of a message of changes, unless its first change is larger."""

PAGES_AT_ONCE = 1
"""Pages that are built at the same time. Other calls wait, so that many callers fill neither the memory nor the threads
of the reader, where a page with a filter may wait for a write."""

FEWER_FIELDS = "ask for fewer of its fields (read_mask), such as its id alone"

Message = TypeVar("Message", UpsertMessage, DeleteMessage)
Write = TypeVar("Write", Upsert, Delete)


class CatalogServicer(CatalogServiceServicer):
    """Implements `chaja.v1.CatalogService`; the proto file states its contract."""

    def __init__(
        self,
        writer: Callable[[], Writer],
        reader: Callable[[], Reader],
        limits: Limits,
        background: Background,
    ) -> None:
        """Takes functions that return the current writer and reader, or raise NotReady or ReadOnly."""
        self._writer = writer
        self._reader = reader
        self._limits = limits
        self._background = background
        self._imports = Imports()
        self._paging = asyncio.Semaphore(PAGES_AT_ONCE)

    async def UpsertDocuments(self, request: UpsertDocumentsRequest, context: Any) -> UpsertDocumentsResponse:
        """Writes documents."""
        writer = self._writer()
        raise_any(count_violations("upserts", len(request.upserts), self._limits.max_write_documents))
        if request.request_id:
            check_name("request_id", request.request_id)
        changes = await self._background.run_if_large(partial(self._read_upserts, request.upserts))
        outcomes: list[Outcome] = []
        if upserts := _valid(changes):
            outcomes = await writer.upsert(
                upserts, request_id=request.request_id, remaining_seconds=context.time_remaining()
            )
        _count(changes, outcomes)
        results = await self._background.run_if_large(
            partial(self._results, changes, outcomes, field="upserts[{}].document")
        )
        return UpsertDocumentsResponse(results=results)

    async def DeleteDocuments(self, request: DeleteDocumentsRequest, context: Any) -> DeleteDocumentsResponse:
        """Deletes documents."""
        writer = self._writer()
        if request.request_id:
            check_name("request_id", request.request_id)
        if not request.HasField("filter"):
            raise_any(count_violations("deletes", len(request.deletes), self._limits.max_write_documents))
            changes = await self._background.run_if_large(partial(_read_deletes, request.deletes))
            deletes = _valid(changes)
            outcomes = await writer.delete(deletes, request_id=request.request_id) if deletes else []
            _count(changes, outcomes)
            results = await self._background.run_if_large(
                partial(self._results, changes, outcomes, field="deletes[{}]")
            )
            return DeleteDocumentsResponse(results=results, deleted_count=sum(result.changed for result in results))
        if request.deletes:
            raise InvalidRequest([Violation("filter", "is set together with deletes: send one of them")])
        filter = await self._background.run_if_large(partial(to_filter, request.filter, field="filter"))
        if filter is None:
            raise InvalidRequest([Violation("filter", "has no condition, and would delete everything: set one")])
        warnings = await self._reader().warnings(filter)
        deleted_count = await writer.delete_matching(filter, request_id=request.request_id)
        if (call := CallContext.current()) is not None:
            call.count(changed=deleted_count)
        return DeleteDocumentsResponse(deleted_count=deleted_count, warnings=warnings)

    async def GetDocument(self, request: GetDocumentRequest, context: Any) -> Any:
        """Returns a document."""
        reader = self._reader()
        check_name("id", request.id)
        mask = DOCUMENTS.mask(request.read_mask, field="read_mask")
        stored = await reader.get(request.id, fields=mask.stored)
        [document] = await asyncio.to_thread(_documents, [stored], mask)
        if len(document) + ELEMENT_BYTES > self._limits.max_response_bytes:
            raise self._too_large(request.id)
        return embedded(GetDocumentResponse.DOCUMENT_FIELD_NUMBER, document)

    async def ListDocuments(self, request: ListDocumentsRequest, context: Any) -> Any:
        """Returns a page of documents."""
        reader = self._reader()
        size = self._limits.page_size(request.page_size)
        filter = await self._background.run_if_large(partial(to_filter, request.filter, field="filter"))
        mask = DOCUMENTS.mask(request.read_mask, field="read_mask")
        after_id = id_before(request.page_token, request.filter)
        response = ListDocumentsResponse(warnings=() if filter is None else await reader.warnings(filter))
        documents: list[bytes] = []
        page_bytes, max_bytes = response.ByteSize(), self._limits.max_response_bytes - RESERVED_BYTES
        async with self._paging:
            while True:
                wanted = min(PORTION_DOCUMENTS, size + 1 - len(documents))  # One more shows if there is a next page.
                portion = await reader.list(filter=filter, after_id=after_id, limit=wanted, fields=mask.stored)
                if not portion:
                    return b"".join((*documents, response.SerializeToString()))
                messages = await self._background.run(partial(_documents, portion, mask))
                for stored, message in zip(portion, messages, strict=True):
                    page_bytes += len(message) + ELEMENT_BYTES
                    if not documents and page_bytes > max_bytes:
                        raise self._too_large(stored.document.id)
                    if len(documents) == size or (documents and page_bytes > min(PAGE_BYTES, max_bytes)):
                        response.next_page_token = page_token(after_id, request.filter)
                        return b"".join((*documents, response.SerializeToString()))
                    documents.append(embedded(ListDocumentsResponse.DOCUMENTS_FIELD_NUMBER, message))
                    after_id = stored.document.id

    async def ImportDocuments(
        self, request_iterator: AsyncIterator[ImportDocumentsRequest], context: Any
    ) -> AsyncIterator[ImportDocumentsResponse]:
        """Writes the documents of a stream."""
        writer = self._writer()
        first = await anext(request_iterator, None) or ImportDocumentsRequest()
        check_name("import_id", first.import_id)
        if first.upserts:
            raise InvalidRequest([Violation("upserts", "is set in the first message: wait for the position")])
        with self._imports.held(first.import_id, Interruption.current(), writer) as held:
            follows = reached = await held.take()
            yield ImportDocumentsResponse(position=reached)
            async for request in request_iterator:
                follows = self._begins_at(request, follows, reached) + len(request.upserts)
                reached = max(reached, follows)
                changes = await self._background.run_if_large(partial(self._read_upserts, request.upserts))
                outcomes = await held.write(_valid(changes), position=reached)
                _count(changes, outcomes)
                results = await self._background.run_if_large(
                    partial(self._results, changes, outcomes, field="upserts[{}].document")
                )
                yield ImportDocumentsResponse(position=reached, results=results)

    async def WatchChanges(self, request: WatchChangesRequest, context: Any) -> AsyncIterator[Any]:
        """Yields changes, oldest first, until the client ends the call."""
        reader = self._reader()
        if request.after_sequence < 0:
            raise InvalidRequest([Violation("after_sequence", f"is {request.after_sequence}; it must be 0 or more")])
        mask = DOCUMENTS.mask(request.read_mask, field="read_mask")
        most_bytes = min(CHANGES_BYTES, self._limits.max_response_bytes)
        interruption = Interruption.current()
        changes = reader.changes(request.after_sequence, fields=mask.stored)
        async with contextlib.aclosing(changes):
            while (portion := await interruption.next(changes)) is not None:
                response: list[bytes] = []
                size_bytes = 0
                messages = await self._background.run(partial(_changes, portion, mask))
                for change, message in zip(portion, messages, strict=True):
                    change_bytes = len(message) + ELEMENT_BYTES
                    if change_bytes > self._limits.max_response_bytes:
                        raise self._too_large(change.id)
                    size_bytes += change_bytes
                    if response and size_bytes > most_bytes:
                        yield b"".join(response)
                        response, size_bytes = [], change_bytes
                    response.append(embedded(WatchChangesResponse.CHANGES_FIELD_NUMBER, message))
                if response:
                    yield b"".join(response)

    def _read_upserts(self, messages: Sequence[UpsertMessage]) -> list[Upsert | Outcome]:
        return _read_each(messages, lambda each, at: to_upsert(each, field=f"upserts[{at}]", limits=self._limits))

    def _results(
        self, changes: Sequence[Upsert | Delete | Outcome], outcomes: Sequence[Outcome], *, field: str
    ) -> list[WriteResult]:
        """Returns the results of all changes. `outcomes` has those of the valid changes; `field` takes a position."""
        left = iter(outcomes)
        every = [each if isinstance(each, Outcome) else next(left) for each in changes]
        results = [to_result(outcome, field=field.format(position)) for position, outcome in enumerate(every)]
        size_bytes = RESERVED_BYTES + sum(result.ByteSize() + ELEMENT_BYTES for result in results)
        if size_bytes > self._limits.max_response_bytes:  # The writes are done: their results must arrive.
            for result in results:
                result.id = ""
                if result.HasField("error"):
                    result.error.message = ""
        return results

    def _too_large(self, id: str) -> ResponseTooLarge:
        """Returns the error of a document that no answer can hold."""
        return ResponseTooLarge(self._limits.max_response_bytes, f"document {id!r} is too large: {FEWER_FIELDS}")

    def _begins_at(self, request: ImportDocumentsRequest, follows: int, reached: int) -> int:
        """Returns the position of a message's first document; raises InvalidRequest if the message skips documents."""
        violations = count_violations("upserts", len(request.upserts), self._limits.max_write_documents)
        if request.import_id:
            violations.append(Violation("import_id", "is set again: start another call for another import"))
        begins = request.position if request.HasField("position") else follows
        if not 0 <= begins <= reached:
            violations.append(Violation("position", f"is {begins}; the import is at {reached}: continue from there"))
        raise_any(violations)
        return begins


def _count(changes: Sequence[Write | Outcome], outcomes: Sequence[Outcome]) -> None:
    """Counts the changes of the running call for the audit log."""
    if (call := CallContext.current()) is not None:
        changed, failed = sum(each.changed for each in outcomes), sum(each.error is not None for each in outcomes)
        invalid = len(changes) - len(outcomes)
        call.count(changed=changed, unchanged=len(outcomes) - changed - failed, failed=failed + invalid)


def _read_deletes(messages: Sequence[DeleteMessage]) -> list[Delete | Outcome]:
    return _read_each(messages, lambda each, at: to_delete(each, field=f"deletes[{at}]"))


def _read_each(messages: Sequence[Message], read: Callable[[Message, int], Write]) -> list[Write | Outcome]:
    """Reads a change from each message; an invalid message gets an Outcome with its error instead."""
    changes: list[Write | Outcome] = []
    for position, message in enumerate(messages):
        try:
            changes.append(read(message, position))
        except InvalidRequest as error:
            id = message.document.id if isinstance(message, UpsertMessage) else message.id
            changes.append(Outcome(id, 0, False, error))
    return changes


def _valid(changes: Sequence[Write | Outcome]) -> list[Write]:
    return [each for each in changes if not isinstance(each, Outcome)]


def _documents(portion: Sequence[Stored], mask: Mask) -> list[bytes]:
    """Returns the serialized messages of documents. It may take long, so it runs in a thread."""
    return [to_message(each, mask).SerializeToString() for each in portion]


def _changes(portion: Sequence[Change], mask: Mask) -> list[bytes]:
    """Returns the serialized messages of changes. It may take long, so it runs in a thread."""
    return [to_change(each, mask).SerializeToString() for each in portion]
