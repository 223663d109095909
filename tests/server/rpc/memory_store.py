"""A store of documents in memory, which can block or fail, and a server of CatalogService for it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np

from chaja.client import AsyncClient
from chaja.v1 import add_CatalogServiceServicer_to_server
from server.attributes.columns import Columns
from server.attributes.filter import Filter
from server.attributes.warnings import Attributes, asked_attributes, warnings_of
from server.catalogue.changes import Change, Delete, Outcome, Stored, Upsert
from server.catalogue.document import content_of
from server.catalogue.partial import Fields, read_document
from server.errors import ChajaError, Conflict, NotFound, OutOfRange
from server.logs.access import AccessLog
from server.logs.audit import AuditLog
from server.metrics import Metrics
from server.rpc.background import Background
from server.rpc.calls import Calls
from server.rpc.catalog import CatalogServicer
from server.rpc.errors import REASONS
from server.rpc.grpc_server import new_server
from server.rpc.limits import Limits
from server.rpc.observer import CallObserver
from server.rpc.refusals import Refusals
from server.rpc.server import METHODS
from server.security.access import Access
from server.security.tokens import AccessTokens
from server.settings import Settings
from tests.server.attributes.matching import matches


class MemoryStore:
    """Writer and Reader in one.

    Attributes:
        gate: While it is closed, writes of imports wait half-way.
        error: The error that every write raises.
        writes: The number of upserts of each write.
        request_ids: The request ids of the writes.
    """

    def __init__(self) -> None:
        self.stored: dict[str, Stored] = {}
        self.log: list[Change] = []
        self.request_ids: list[str] = []
        self.positions: dict[str, int] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: ChajaError | None = None
        self.writes: list[int] = []
        self._changed = asyncio.Event()

    async def upsert(
        self, upserts: Sequence[Upsert], *, request_id: str, remaining_seconds: float | None
    ) -> list[Outcome]:
        self._begin(upserts)
        self.request_ids.append(request_id)
        return [self._upsert(each) for each in upserts]

    async def delete(self, deletes: Sequence[Delete], *, request_id: str) -> list[Outcome]:
        self._begin(deletes)
        self.request_ids.append(request_id)
        return [self._delete(each) for each in deletes]

    async def delete_matching(self, filter: Filter, *, request_id: str) -> int:
        self._begin([])
        self.request_ids.append(request_id)
        ids = [id for id, each in self.stored.items() if matches(filter, each.document.attributes)]
        for id in ids:
            self._delete(Delete(id))
        return len(ids)

    async def import_documents(
        self, import_id: str, position: int, upserts: Sequence[Upsert], *, holder: str
    ) -> list[Outcome]:
        self._begin(upserts)
        await self.gate.wait()
        self.positions[import_id] = position
        return [self._upsert(each) for each in upserts]

    async def take_import(self, import_id: str, holder: str) -> int:
        return self.positions.get(import_id, 0)

    async def get(self, id: str, *, fields: Fields | None = None) -> Stored:
        if id not in self.stored:
            raise NotFound(id)
        return _only(self.stored[id], fields)

    async def list(
        self, *, filter: Filter | None, after_id: str, limit: int, fields: Fields | None = None
    ) -> list[Stored]:
        later = [self.stored[id] for id in sorted(self.stored) if id > after_id]
        found = [each for each in later if filter is None or matches(filter, each.document.attributes)]
        return [_only(each, fields) for each in found[:limit]]

    async def warnings(self, filter: Filter) -> Sequence[str]:
        columns = Columns()
        columns.append([each.document.attributes for each in self.stored.values()])
        live = np.ones(len(self.stored), np.bool_)
        return warnings_of(filter, (), Attributes.of(asked_attributes(filter, ()), columns.view(), live))

    async def changes(
        self, after_sequence: int, *, fields: Fields | None = None
    ) -> AsyncGenerator[Sequence[Change], None]:
        if after_sequence > len(self.log):
            raise OutOfRange(f"the catalogue is only at {len(self.log)}")
        while True:
            changed = self._changed
            if portion := self.log[after_sequence : after_sequence + 50]:
                yield [
                    each._replace(document=_only(Stored(each.document, 0), fields).document) if each.document else each
                    for each in portion
                ]
                after_sequence = portion[-1].sequence
            else:
                await changed.wait()

    def _begin(self, writes: Sequence[object]) -> None:
        if self.error is not None:
            raise self.error
        self.writes.append(len(writes))

    def _upsert(self, upsert: Upsert) -> Outcome:
        id = upsert.document.id
        before = self.stored.get(id)
        version = before.version if before else 0
        if upsert.expected_version not in (None, version):
            return self._conflict(id, upsert.expected_version, version)
        if before is not None and before.document == upsert.document:
            return Outcome(id, version, False)
        self._log(Change(len(self.log) + 1, id, upsert.document))
        self.stored[id] = Stored(upsert.document, len(self.log))
        return Outcome(id, len(self.log), True)

    def _delete(self, delete: Delete) -> Outcome:
        before = self.stored.get(delete.id)
        version = before.version if before else 0
        if delete.expected_version not in (None, version):
            return self._conflict(delete.id, delete.expected_version, version)
        if before is None:
            return Outcome(delete.id, 0, False)
        del self.stored[delete.id]
        self._log(Change(len(self.log) + 1, delete.id, None))
        return Outcome(delete.id, len(self.log), True)

    def _conflict(self, id: str, expected_version: int | None, version: int) -> Outcome:
        assert expected_version is not None
        return Outcome(id, version, False, Conflict(id, expected_version=expected_version, version=version))

    def _log(self, change: Change) -> None:
        self.log.append(change)
        self._changed.set()
        self._changed = asyncio.Event()


def _only(stored: Stored, fields: Fields | None) -> Stored:
    return stored._replace(document=read_document(content_of(stored.document), fields))


class Served(NamedTuple):
    """A running server, its store, and a client's stub."""

    store: MemoryStore
    calls: Calls
    catalog: Any
    address: str


@contextlib.asynccontextmanager
async def serving_catalog(tokens: AccessTokens | None = None, **limits: int) -> AsyncIterator[Served]:
    """Serves a store with a real grpc.aio server."""
    settings = Settings(bundle=Path(), catalogue=Path(), **{"max_write_documents": 5, **limits})  # type: ignore[arg-type]
    store = MemoryStore()
    stored: Any = lambda: store  # noqa: E731
    servicer = CatalogServicer(stored, stored, Limits.of(settings), Background())
    most = settings.max_response_bytes
    metrics, audit = Metrics(METHODS, reasons=REASONS), AuditLog(on=True)
    calls: Any = Calls(
        metrics,
        Access(tokens),
        overload=lambda: None,
        max_response_bytes=most,
        observer=CallObserver(AccessLog("off", 0.0), audit, None),
        refusals=Refusals(metrics, audit),
    )
    add_CatalogServiceServicer_to_server(servicer, calls)
    server = new_server(settings, calls)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    async with AsyncClient(grpc.aio.insecure_channel(address)) as client:
        try:
            yield Served(store, calls, client.catalog, address)
        finally:
            store.gate.set()
            await server.stop(0)
