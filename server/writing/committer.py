"""The only thread that changes the catalogue: it commits to the store, updates the live index, then answers.

Waiting requests are committed as a group, with a single sync of the disk. A caller is answered when its change is
durable *and* in the index, so that the next search finds it.
"""

import asyncio
import contextlib
import enum
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from server.attributes.filter import Filter
from server.catalogue.changes import Delete, Outcome
from server.catalogue.document import Document
from server.catalogue.encoded import Vectors
from server.catalogue.store import Store
from server.catalogue.transaction import Transaction
from server.errors import ChajaError, Conflict, LoadingCancelled, NotReady
from server.live.index import LiveIndex
from server.logs.rate import Rate
from server.metrics import Metrics
from server.writing.promotions import PromotionChanges
from server.writing.remembered_calls import RememberedCall, remembered
from server.writing.rules import RuleChanges

log = logging.getLogger(__name__)

GROUP_REQUESTS = 64
"""Maximum number of requests that are committed together."""


class Signal(enum.Enum):
    """The commands to the thread besides requests."""

    REFRESH = enum.auto()
    END = enum.auto()


class Put(NamedTuple):
    """A document to write. `vectors` is None if the caller has found it stored unchanged."""

    document: Document
    vectors: Vectors | None
    expected_version: int | None = None

    @property
    def id(self) -> str:
        """The document's id."""
        return self.document.id


class FileRecord(NamedTuple):
    """The digests of a request's documents in the catalogue file, and the ids of documents no longer in it."""

    digests: Mapping[str, bytes]
    gone: Sequence[str] = ()


@dataclass(eq=False, kw_only=True)
class CommitRequest:
    """Changes that are made together or not at all, except for documents that are rejected one by one.

    Attributes:
        matching: Filter of documents to delete in addition.
        revision: Revision of the model that has encoded the documents.
        imported: Id of the import that the request belongs to, its position after it, and the call that holds it.
        rules: Changes of rules; if one of them is rejected, the whole request is.
        promotions: Example queries that were learnt, to record with the documents that have them.
    """

    changes: Sequence[Put | Delete] = ()
    matching: Filter | None = None
    revision: str = ""
    call: RememberedCall | None = None
    imported: tuple[str, int, str] | None = None
    file: FileRecord | None = None
    rules: RuleChanges | None = None
    promotions: PromotionChanges | None = None
    done: asyncio.Future[list[Outcome]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Outdated(Exception):
    """The state that a request was prepared for has changed: prepare it again."""


class Committer:
    """Owns the live index. Only the holder of `lock` may change or replace it.

    Attributes:
        lock: The thread holds it while it commits a group and updates the index.
        death: Done when an error has ended the thread, or left the index with a part of others' changes.
    """

    def __init__(
        self,
        store: Store,
        index: LiveIndex,
        metrics: Metrics,
        *,
        on_commit: Callable[[], None],
        catch_up: Callable[[LiveIndex], None],
    ) -> None:
        """Starts the thread; `on_commit` is called on the running event loop.

        `catch_up` brings an index up to date with the store.
        """
        self._store = store
        self.index = index
        self.lock = threading.Lock()
        self._metrics = metrics
        self._on_commit = on_commit
        self._catch_up = catch_up
        self._behind_since: float | None = None
        self._rules = index.state.rules
        self._failed_commits = Rate(lines=1, seconds=10)
        self._loop = asyncio.get_running_loop()
        self.death: asyncio.Future[None] = self._loop.create_future()
        self._waiting: queue.SimpleQueue[CommitRequest | Signal] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    async def commit(self, request: CommitRequest) -> list[Outcome]:
        """Makes changes; returns an outcome for each. Raises Outdated, StoreFull, or NotReady once it has ended."""
        if self._ended.is_set():
            raise NotReady("the server accepts no more changes; try another server")
        self._waiting.put(request)
        if self._ended.is_set():  # The thread may have ended before it saw the request.
            self._reject_waiting()
        return await request.done

    def refresh_soon(self) -> None:
        """Asks the thread to publish improvements of the index, such as a new graph. Any thread may call it."""
        self._waiting.put(Signal.REFRESH)

    def catch_up(self) -> None:
        """Brings the index up to date with the store, if it is not. Any thread may call it; see `Store.refresh`."""
        if self._is_behind and not self._ended.is_set():
            self._behind_since = self._behind_since or time.monotonic()
            with self.lock:
                self._follow_others()
            self._loop.call_soon_threadsafe(self._on_commit)

    def close(self) -> None:
        """Finishes the waiting requests and ends the thread. Blocks; the event loop must be running."""
        self._waiting.put(Signal.END)
        self._thread.join()

    @property
    def lag_seconds(self) -> float:
        """Time since the index has lacked changes that are known to be committed; 0 if it lacks none."""
        since = self._behind_since
        return time.monotonic() - since if self._is_behind and since is not None else 0.0

    @property
    def _is_behind(self) -> bool:
        return self.index.state.sequence < self._store.sequence

    def _follow_others(self) -> None:
        if self._is_behind:
            self._behind_since = self._behind_since or time.monotonic()
            try:
                self._catch_up(self.index)
            except (ChajaError, LoadingCancelled):
                raise
            except Exception:
                # The index may have a part of the changes: this process makes and follows no more.
                self._ended.set()
                self._loop.call_soon_threadsafe(self._die)
                raise
        self._behind_since = None

    def _die(self) -> None:
        if not self.death.done():
            log.critical("the committer died: the index can follow the store no more")
            self.death.set_result(None)

    def _run(self) -> None:
        group: list[CommitRequest] = []
        try:
            ending = False
            while not ending and not self._ended.is_set():
                taken = [self._waiting.get()]
                while len(taken) < GROUP_REQUESTS and not self._waiting.empty():
                    taken.append(self._waiting.get())
                group = [each for each in taken if isinstance(each, CommitRequest)]
                ending = Signal.END in taken
                with self.lock:
                    if group:
                        self._commit(group)
                    if Signal.REFRESH in taken:
                        self.index.refresh()
        except BaseException:
            # The store is intact, but the index may lack changes: this process makes no more changes.
            log.exception("the committer failed")
            self._settle(group, NotReady("the server can make no more changes; try another server"))
            self._loop.call_soon_threadsafe(self._die)
        finally:
            self._ended.set()
            self._reject_waiting()

    def _reject_waiting(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                if isinstance(left := self._waiting.get_nowait(), CommitRequest):
                    self._settle([left], NotReady("the server accepts no more changes; try another server"))

    def _commit(self, group: Sequence[CommitRequest]) -> None:
        outcomes: list[list[Outcome] | Exception] = []
        before, started = self.index.state.sequence, time.perf_counter()
        try:
            self._follow_others()  # Most of it before the transaction, for which other servers wait.
            with self._store.write() as transaction:
                self._follow_others()
                self._rules = self.index.state.rules  # Of each request, those after it; used once the group is durable.
                transaction.read_versions(change.id for request in group for change in request.changes)
                for request in group:
                    outcomes.append(self._attempt(request, transaction))
                self._behind_since = time.monotonic()
        except Exception as error:
            if not isinstance(error, ChajaError):
                log.exception("a commit failed")
            elif self._failed_commits.allow() is not None:
                log.error("a commit failed: %s", error)
            self._metrics.store.commit_failures.inc()
            if not self._is_behind:
                self._behind_since = None
            self._say_changed(before)
            self._settle(group, error)
            return
        self.index.follow(transaction.added, transaction.retired, sequence=transaction.sequence, rules=self._rules)
        self._behind_since = None
        self._metrics.store.commit_seconds.observe(time.perf_counter() - started)
        made = (outcome for each in outcomes if not isinstance(each, Exception) for outcome in each)
        self._metrics.store.changes.inc(sum(outcome.changed for outcome in made))
        self._say_changed(before)
        self._loop.call_soon_threadsafe(_settle_each, group, outcomes)

    def _say_changed(self, before: int) -> None:
        """Calls `on_commit` if the index has moved on from a sequence, be it by the changes of other servers."""
        if self.index.state.sequence != before:
            self._loop.call_soon_threadsafe(self._on_commit)

    def _attempt(self, request: CommitRequest, transaction: Transaction) -> list[Outcome] | Exception:
        """Makes the changes of one request. An error does not affect the other requests of the group."""
        try:
            with transaction.together():
                return self._perform(request, transaction)
        except (ChajaError, Outdated) as error:
            return error

    def _perform(self, request: CommitRequest, transaction: Transaction) -> list[Outcome]:
        if request.call is not None and transaction.request(request.call.id) != request.call.known:
            raise Outdated
        outcomes = [
            self._delete(change, transaction) if isinstance(change, Delete) else self._put(change, request, transaction)
            for change in request.changes
        ]
        if request.matching is not None:
            outcomes += self._delete_matching(request.matching, transaction)
        if request.rules is not None:
            rule_outcomes, self._rules = request.rules.perform(transaction, self._rules)
            outcomes += rule_outcomes
        if request.promotions is not None:
            request.promotions.perform(transaction, outcomes)
        if request.call is not None:
            transaction.remember_request(request.call.id, request.call.digest, remembered(request.call, outcomes))
        if request.imported is not None:
            transaction.advance_import(*request.imported)
        if request.file is not None:
            transaction.record_file(*request.file)
        return outcomes

    def _put(self, put: Put, request: CommitRequest, transaction: Transaction) -> Outcome:
        id = put.id
        version = transaction.version(id)
        if put.expected_version not in (None, version):
            return _conflict(id, put.expected_version, version)
        if transaction.holds(put.document):
            return Outcome(id, version, changed=False)
        if put.vectors is None or request.revision != self.index.revision:
            raise Outdated
        return Outcome(id, transaction.put(put.document, put.vectors, revision=request.revision), changed=True)

    @staticmethod
    def _delete(delete: Delete, transaction: Transaction) -> Outcome:
        version = transaction.version(delete.id)
        if delete.expected_version not in (None, version):
            return _conflict(delete.id, delete.expected_version, version)
        if not version:
            return Outcome(delete.id, 0, changed=False)
        return Outcome(delete.id, transaction.delete(delete.id), changed=True)

    def _delete_matching(self, filter: Filter, transaction: Transaction) -> list[Outcome]:
        # Those that a request of the same group has replaced are not live any more.
        ids = transaction.ids_of(self.index.state.matching(filter).tolist()).values()
        return [Outcome(id, transaction.delete(id), changed=True) for id in ids]

    def _settle(self, group: Sequence[CommitRequest], error: Exception) -> None:
        self._loop.call_soon_threadsafe(_settle_each, group, [error] * len(group))


def _settle_each(group: Sequence[CommitRequest], outcomes: Sequence[list[Outcome] | Exception]) -> None:
    for request, each in zip(group, outcomes, strict=True):
        if request.done.done():  # The caller gave up; the change is made.
            continue
        if isinstance(each, Exception):
            request.done.set_exception(each)
        else:
            request.done.set_result(each)


def _conflict(id: str, expected_version: int | None, version: int) -> Outcome:
    error = Conflict(id, expected_version=expected_version or 0, version=version)
    return Outcome(id, version, changed=False, error=error)
