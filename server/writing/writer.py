"""Writes documents and rules: prepares the callers' requests and passes them to the committer.

Another write or another model may outdate a prepared request before it is committed. It is then prepared again.
"""

import asyncio
import contextlib
import functools
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, ParamSpec, TypeVar

from server.attributes.filter import Filter
from server.catalogue.changes import Delete, Outcome, Upsert
from server.catalogue.store import Store
from server.engine import EngineSlot, deadline_after
from server.errors import ChajaError, NotReady
from server.ranking.served import Served
from server.writing.committer import CommitRequest, Committer, FileRecord, Outdated, Put
from server.writing.encoding import DocumentEncoder
from server.writing.promotions import PromotionChanges
from server.writing.remembered_calls import RememberedCall, digest_of, look_up
from server.writing.rules import RuleChanges

P = ParamSpec("P")
T = TypeVar("T")


def _repeat_if_outdated(write: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Repeats a write as long as it raises `Outdated`."""

    @functools.wraps(write)
    async def repeat(*arguments: P.args, **options: P.kwargs) -> T:
        while True:
            with contextlib.suppress(Outdated):
                return await write(*arguments, **options)

    return repeat


class Writer:
    """Writes documents and rules. Used on the event loop.

    Every method returns when its changes are durable and searchable.

    A call that is repeated with the same `request_id` returns the earlier outcomes and retries rejected changes; an
    empty id means none. The error of one document is in its outcome. A caller that gives up cancels only its wait: a
    write that was passed to the committer is made completely or not at all.

    All methods raise `StoreFull` and `NotReady`; those that encode also raise `Overloaded` and `DeadlinePassed`.
    """

    def __init__(self, store: Store, slot: EngineSlot, committer: Committer, encoder: DocumentEncoder) -> None:
        self._store = store
        self._slot = slot
        self._committer = committer
        self._encoder = encoder

    @property
    def state(self) -> Served:
        """The latest state of the index."""
        return self._slot.loaded.index.state

    async def upsert(
        self, upserts: Sequence[Upsert], *, request_id: str = "", remaining_seconds: float | None = None
    ) -> list[Outcome]:
        """Writes documents in order; returns the outcome of each."""
        deadline = deadline_after(remaining_seconds)
        return await self._upsert(upserts, request_id=request_id, deadline=deadline, patient=False)

    @_repeat_if_outdated
    async def delete(self, deletes: Sequence[Delete], *, request_id: str = "") -> list[Outcome]:
        """Deletes documents in order; returns the outcome of each."""
        content = [(each.id, each.expected_version) for each in deletes]
        call = await self._remembered(request_id, len(deletes), "delete", content)
        if call is None:
            return await self._committer.commit(CommitRequest(changes=deletes))
        call = call._replace(submitted=call.open)
        changes = [deletes[position] for position in call.open]
        return call.outcomes(await self._committer.commit(CommitRequest(changes=changes, call=call)))

    @_repeat_if_outdated
    async def delete_matching(self, filter: Filter, *, request_id: str = "") -> int:
        """Deletes all documents that match; returns their number."""
        call = await self._remembered(request_id, 0, "delete matching", repr(filter))
        if call is not None and call.known is not None:
            return len(call.done)
        return len(await self._committer.commit(CommitRequest(matching=filter, call=call)))

    async def take_import(self, import_id: str, holder: str) -> int:
        """Gives an import to the call `holder`; returns the position of the import, 0 if it is new."""
        return await asyncio.to_thread(self._store.take_import, import_id, holder)

    async def import_documents(
        self, import_id: str, position: int, upserts: Sequence[Upsert], *, holder: str
    ) -> list[Outcome]:
        """Writes documents of an import and its new position. Under load it waits instead of being rejected.

        The position also counts rejected documents, which are not among `upserts`. Raises ImportTakenOver if another
        call than `holder` has taken the import.
        """
        return await self._upsert(upserts, imported=(import_id, position, holder))

    async def import_file(
        self, upserts: Sequence[Upsert], deletes: Sequence[Delete], file: FileRecord
    ) -> list[Outcome]:
        """Makes the changes of the catalogue file, and records its digests."""
        return await self._upsert(upserts, deletes=deletes, file=file)

    async def promote(self, upserts: Sequence[Upsert], promotions: PromotionChanges) -> list[Outcome]:
        """Writes documents with other examples, and records these. Under load it waits instead of being rejected."""
        return await self._upsert(upserts, promotions=promotions)

    @_repeat_if_outdated
    async def change_rules(self, rules: RuleChanges, *, request_id: str = "") -> list[Outcome]:
        """Changes rules, all or none; returns the outcome of each. Raises UnfitRule or Conflict."""
        call = await self._remembered(request_id, len(rules.changes), "rules", rules.replaced, rules.changes)
        if call is not None and call.known is not None:
            return call.outcomes([])
        return await self._committer.commit(CommitRequest(rules=rules, call=call))

    async def _remembered(self, request_id: str, count: int, *content: object) -> RememberedCall | None:
        if not request_id:
            return None
        return await asyncio.to_thread(look_up, self._store, request_id, digest_of(*content), count=count)

    @_repeat_if_outdated
    async def _upsert(
        self,
        upserts: Sequence[Upsert],
        *,
        deletes: Sequence[Delete] = (),
        request_id: str = "",
        imported: tuple[str, int, str] | None = None,
        file: FileRecord | None = None,
        promotions: PromotionChanges | None = None,
        deadline: float = math.inf,
        patient: bool = True,
    ) -> list[Outcome]:
        content = [(each.document, each.expected_version) for each in upserts]
        call = await self._remembered(request_id, len(upserts), "upsert", content)
        if call is not None:
            upserts = [upserts[position] for position in call.open]
        engine = self._slot.loaded
        documents = [each.document for each in upserts]
        try:
            encoded = await self._encoder.encode(engine, documents, deadline=deadline, patient=patient)
        except (NotReady, RuntimeError):  # A thread pool that was shut down raises RuntimeError.
            if self._slot.loaded is engine:
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
            submitted = [
                position for position, each in zip(call.open, encoded, strict=True) if not isinstance(each, ChajaError)
            ]
            call = call._replace(submitted=submitted)
        committed = iter(
            await self._committer.commit(
                CommitRequest(
                    changes=[*changes, *deletes],
                    revision=engine.manifest.revision,
                    call=call,
                    imported=imported,
                    file=file,
                    promotions=promotions,
                )
            )
        )
        outcomes = [
            Outcome(document.id, 0, changed=False, error=each) if isinstance(each, ChajaError) else next(committed)
            for document, each in zip(documents, encoded, strict=True)
        ]
        return [*outcomes, *committed] if call is None else call.outcomes(outcomes)
