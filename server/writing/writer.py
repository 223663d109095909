"""Writes documents: prepares what callers ask for, and has it committed.

    upsert → encode what is new (bulk work of the engine) → commit and follow (the committer) → outcomes

What was prepared may be outdated when its turn comes, by another write or another model: then it is prepared again.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence

from server.attributes.filter import Filter
from server.catalogue.changes import Delete, Outcome, Upsert
from server.catalogue.store import Store
from server.engine import EngineSlot
from server.errors import ChajaError, NotReady
from server.writing.committer import CommitRequest, Committer, FileRecord, Outdated, Put
from server.writing.encoding import DocumentEncoder
from server.writing.remembered_calls import RememberedCall, digest_of, look_up


class Writer:
    """Writes documents. Used on the event loop. Every method returns when what it did is durable and searchable.

    A call that is repeated with the same `request_id` returns what the first one returned, and tries again what was
    refused; an empty id stands for none. An error that concerns one document is in its outcome. A caller who gives up
    cancels the wait alone: a write that was handed over is done wholly or not at all.

    All methods raise `StoreFull` and `NotReady`; those that encode also `Overloaded` and `DeadlinePassed`.
    """

    def __init__(self, store: Store, slot: EngineSlot, committer: Committer, encoder: DocumentEncoder) -> None:
        self._store = store
        self._slot = slot
        self._committer = committer
        self._encoder = encoder

    async def upsert(
        self, upserts: Sequence[Upsert], *, request_id: str = "", remaining_seconds: float | None = None
    ) -> list[Outcome]:
        """Writes documents in their order; returns an outcome for each."""
        deadline = math.inf if remaining_seconds is None else time.monotonic() + remaining_seconds
        content = [(each.document, each.expected_version) for each in upserts] if request_id else []
        digest = digest_of("upsert", content)
        while True:
            call = await self._remembered(request_id, digest, len(upserts))
            asked = upserts if call is None else [upserts[position] for position in call.open]
            try:
                outcomes = await self._upsert(asked, call=call, deadline=deadline)
            except Outdated:
                continue
            return outcomes if call is None else call.outcomes(outcomes)

    async def delete(self, deletes: Sequence[Delete], *, request_id: str = "") -> list[Outcome]:
        """Deletes documents in their order; returns an outcome for each."""
        digest = digest_of("delete", [(each.id, each.expected_version) for each in deletes])
        while True:
            call = await self._remembered(request_id, digest, len(deletes))
            asked = deletes
            if call is not None:
                call = call._replace(handed_on=call.open)
                asked = [deletes[position] for position in call.open]
            try:
                outcomes = await self._committer.commit(
                    CommitRequest(changes=asked, call=call, revision=self._slot.engine.manifest.revision)
                )
            except Outdated:
                continue
            return outcomes if call is None else call.outcomes(outcomes)

    async def delete_matching(self, filter: Filter, *, request_id: str = "") -> int:
        """Deletes every document that matches; returns how many."""
        digest = digest_of("delete matching", repr(filter))
        while True:
            call = await self._remembered(request_id, digest, 0)
            if call is not None and call.known_digest is not None:
                return len(call.done)
            try:
                return len(
                    await self._committer.commit(
                        CommitRequest(matching=filter, call=call, revision=self._slot.engine.manifest.revision)
                    )
                )
            except Outdated:
                continue

    async def import_documents(self, import_id: str, position: int, upserts: Sequence[Upsert]) -> list[Outcome]:
        """Writes documents of an import, and with them that it has come to a position. Waits while others go first.

        The position counts documents that were refused, too, which are not among `upserts`.
        """
        while True:
            try:
                return await self._upsert(upserts, imported=(import_id, position), patient=True)
            except Outdated:
                continue

    async def import_position(self, import_id: str) -> int:
        """Returns how far an import has come; 0 for an unknown one."""
        return await asyncio.to_thread(self._store.import_position, import_id)

    async def import_file(
        self, upserts: Sequence[Upsert], deletes: Sequence[Delete], file: FileRecord
    ) -> list[Outcome]:
        """Makes the changes of the catalogue's file, and notes what it says now."""
        while True:
            try:
                return await self._upsert(upserts, deletes=deletes, file=file, patient=True)
            except Outdated:
                continue

    async def _remembered(self, request_id: str, digest: bytes, count: int) -> RememberedCall | None:
        if not request_id:
            return None
        return await asyncio.to_thread(look_up, self._store, request_id, digest, count=count)

    async def _upsert(
        self,
        upserts: Sequence[Upsert],
        *,
        deletes: Sequence[Delete] = (),
        call: RememberedCall | None = None,
        imported: tuple[str, int] | None = None,
        file: FileRecord | None = None,
        deadline: float = math.inf,
        patient: bool = False,
    ) -> list[Outcome]:
        engine = self._slot.engine
        documents = [each.document for each in upserts]
        try:
            encoded = await self._encoder.encode(engine, documents, deadline=deadline, patient=patient)
        except (NotReady, RuntimeError):  # A thread pool that is shut down says RuntimeError.
            if self._slot.engine is engine:
                raise
            raise Outdated from None
        changes: list[Put | Delete] = [
            Put(upsert.document, vectors, upsert.expected_version)
            for upsert, vectors in zip(upserts, encoded, strict=True)
            if not isinstance(vectors, ChajaError)
        ]
        if file is not None and (wrong := next((each for each in encoded if isinstance(each, ChajaError)), None)):
            raise wrong
        if call is not None:
            handed_on = [
                position for position, each in zip(call.open, encoded, strict=True) if not isinstance(each, ChajaError)
            ]
            call = call._replace(handed_on=handed_on)
        committed = iter(
            await self._committer.commit(
                CommitRequest(
                    changes=[*changes, *deletes],
                    revision=engine.manifest.revision,
                    call=call,
                    imported=imported,
                    file=file,
                )
            )
        )
        outcomes = [
            Outcome(document.id, 0, changed=False, error=each) if isinstance(each, ChajaError) else next(committed)
            for document, each in zip(documents, encoded, strict=True)
        ]
        return [*outcomes, *committed]
