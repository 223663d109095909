"""Brings a live index up to date with the store, from a snapshot, an empty index or any earlier state.

Documents that the model has not encoded yet are encoded, and their vectors are stored. So an interrupted build
continues where it stopped.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from server.catalogue.changes import Change
from server.catalogue.document import Document
from server.catalogue.encoded import Versioned
from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.encoding.documents import encode_documents
from server.errors import LoadingCancelled
from server.live.completions import COMPLETED
from server.live.index import LiveIndex
from server.priority import give_way
from server.progress import Progress
from server.ranking.query_rules import QueryRules

log = logging.getLogger(__name__)

PORTION_DOCUMENTS = 512
"""Documents that are encoded and stored at a time."""

FEW_DOCUMENTS = 32
"""Documents of a portion that a server encodes without asking whether another one does."""

OTHERS_SECONDS = 0.5
"""Time between two reads of what another server has encoded."""

USED_SECONDS = 15.0
"""Time after which a load stores again that it uses the vectors of its model."""

LOADING_NICENESS = 15
"""Niceness of threads that load while the server serves. It is above that of the workers."""

REPORT_SECONDS = 1.0

CHECK_SECONDS = 0.1
"""Time after which a wait for a graph checks whether it is cancelled."""


def keeps_all(id: str) -> bool:
    """Keeps the document with any id."""
    return True


@dataclass(eq=False)
class IndexBuilder:
    """Brings live indexes of one model up to date with the store, and adds missing vectors to the store.

    Attributes:
        cancelled: Set it to end the work early.
        background: Whether the work leaves the CPU to the serving threads.
        keeps: Whether the indexes keep the document with an id; those of a shard keep only its own documents.
    """

    store: Store
    bundle: Bundle
    _: KW_ONLY
    threads: int
    cancelled: threading.Event
    progress: Progress = field(default_factory=Progress)
    background: bool = False
    keeps: Callable[[str], bool] = keeps_all
    _encoded_texts: int = field(default=0, init=False)
    _waited: bool = field(default=False, init=False)
    _reported: float = field(default_factory=time.monotonic, init=False)
    _used: float = field(default=-USED_SECONDS, init=False)

    def complete(self, index: LiveIndex) -> None:
        """Adds the completions of an index that was restored from a snapshot.

        Raises LoadingCancelled or DatabaseDamaged.
        """
        self.progress.begin("indexing the completions", total=index.state.slots.live_count)
        index.complete(self._known(index.state.sequence))

    def catch_up(self, index: LiveIndex) -> None:
        """Applies the store's changes to an index, at least those made before the call.

        Raises LoadingCancelled, BundleError if the model fails on a document or cannot encode it, or DatabaseDamaged.
        """
        self._use_vectors()
        until = self.store.sequence
        self.progress.begin("indexing the stored documents", total=len(self.store))
        documents = self._stored(index)
        initializer = partial(give_way, LOADING_NICENESS) if self.background else None
        with ThreadPoolExecutor(self.threads, thread_name_prefix="catalogue", initializer=initializer) as pool:
            while portion := list(islice(documents, PORTION_DOCUMENTS)):
                self.check()
                if sum(each.vectors is None for each in portion) <= FEW_DOCUMENTS:
                    self._add(index, portion, pool.map)
                    continue
                # All servers that load a bundle need these vectors: one of them makes them.
                with self.store.alone(f"encode {self.bundle.manifest.revision}") as is_alone:
                    if is_alone:  # Another server may have made them since they were read.
                        self._add(index, list(islice(self._stored(index), PORTION_DOCUMENTS)), pool.map)
                if not is_alone:
                    self._wait_for_others()
                documents = self._stored(index)
        slots = index.state.slots
        retired = np.setdiff1d(slots.sequences[slots.live], self.store.live_sequences(), assume_unique=True)
        rules = QueryRules.read(self.store.rules, self.store.sequences_of)
        index.follow([], retired.tolist(), sequence=max(until, index.state.sequence), rules=rules)

    def _stored(self, index: LiveIndex) -> Iterator[Versioned]:
        """Yields the documents that an index lacks, of those that it keeps."""
        stored = self.store.after(index.state.sequence, self.bundle.manifest.revision)
        return (each for each in stored if self.keeps(each.document.id))

    def _add(
        self, index: LiveIndex, portion: Sequence[Versioned], map: Callable[..., Iterable[NDArray[np.float32]]]
    ) -> None:
        added = self._with_vectors(portion, map)
        if added:
            index.follow(added, [], sequence=added[-1].sequence)
        self._use_vectors()
        self.progress.advance(len(index.state.slots.sequences))
        self._report(index)

    def _wait_for_others(self) -> None:
        """Waits while another server encodes the documents."""
        if not self._waited:
            log.info("another server encodes the documents for revision %s: waiting", self.bundle.manifest.revision)
            self._waited = True
        self._use_vectors()
        self.cancelled.wait(OTHERS_SECONDS)
        self.check()

    def follow(self, index: LiveIndex) -> int:
        """Applies the store's changes to an index that serves. The work depends on the number of changes alone.

        Returns the sequence of the last change of a document that the index keeps, 0 if there was none.

        Few changes become visible at once. Many do so in portions, but `sequence` moves on only after the last one: a
        document that changes meanwhile is missing in its portion. Raises the same errors as `catch_up`.
        """
        before, until, last = index.state.sequence, self.store.sequence, 0
        with contextlib.closing(self.store.log(before, self.bundle.manifest.revision)) as changes:
            portion, more = _portion(changes), _portion(changes)
            while more:
                self.check()
                last = max(last, self._apply(index, portion, sequence=before))
                portion, more = more, _portion(changes)
        rules = None
        if self.store.has_rules_after(before):
            rules = QueryRules.read(self.store.rules, index.versions_of)
        sequence = max([until, before, *(each.sequence for each in portion)])
        return max(last, self._apply(index, portion, sequence=sequence, rules=rules))

    def _apply(
        self, index: LiveIndex, changes: Sequence[Versioned | Change], *, sequence: int, rules: QueryRules | None = None
    ) -> int:
        """Applies changes of different documents. Those that were applied before an error are skipped.

        Returns the sequence of the last one that the index keeps, 0 if there is none.
        """
        changes = [each for each in changes if self.keeps(_id_of(each))]
        slots = index.state.slots
        known = set(slots.sequences[slots.slots_of([each.sequence for each in changes])].tolist())
        new = [each for each in changes if isinstance(each, Versioned) and each.sequence not in known]
        gone = [each.id for each in changes if isinstance(each, Change)]
        retired = index.versions_of([*gone, *(each.document.id for each in new)])
        index.follow(self._with_vectors(new, map), list(retired.values()), sequence=sequence, rules=rules)
        return max((each.sequence for each in changes), default=0)

    def wait_for_graph(self, index: LiveIndex) -> None:
        """Waits for the graph that an index is building; raises LoadingCancelled if `cancelled` is set."""
        while not index.dense.wait(CHECK_SECONDS):
            self.check()
            self._use_vectors()

    def check(self) -> None:
        """Raises LoadingCancelled if `cancelled` is set."""
        if self.cancelled.is_set():
            raise LoadingCancelled

    def _use_vectors(self) -> None:
        """Stores now and then that the vectors of the model are used, so that no other server deletes them."""
        if self.store.is_shared and time.monotonic() - self._used >= USED_SECONDS:
            with self.store.maintenance() as transaction:
                transaction.use_vectors(self.bundle.manifest.revision)
            self._used = time.monotonic()

    def _known(self, until: int) -> Iterator[tuple[int, Document]]:
        """Yields the live documents up to a sequence, in this order, with the fields that completions are made of."""
        sequence = known = 0
        while sequence < until and (changes := self.store.changes(sequence, PORTION_DOCUMENTS, fields=COMPLETED)):
            self.check()
            documents = [(each.sequence, each.document) for each in changes if each.document is not None]
            yield from documents
            known += len(documents)
            self.progress.advance(known)
            sequence = changes[-1].sequence

    def _with_vectors(
        self, documents: Sequence[Versioned], map: Callable[..., Iterable[NDArray[np.float32]]]
    ) -> list[Versioned]:
        """Returns the documents with their vectors; encodes and stores missing ones."""
        missing = [each for each in documents if each.vectors is None]
        if not missing:
            return list(documents)
        found = encode_documents(
            [each.document for each in missing],
            self.bundle,
            map=map,
            check=self.check,
        )
        encoded: dict[int, Versioned] = {}
        with self.store.maintenance() as transaction:
            for each, vectors in zip(missing, found, strict=True):
                transaction.put_vectors(each.sequence, vectors, revision=self.bundle.manifest.revision)
                encoded[each.sequence] = each._replace(vectors=vectors)
        self._encoded_texts += sum(len(vectors.spans) for vectors in found)
        return [encoded.get(each.sequence, each) for each in documents]

    def _report(self, index: LiveIndex) -> None:
        now = time.monotonic()
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now
            documents = len(index.state.slots.sequences)
            log.info("building the index: %d documents so far, %d texts encoded", documents, self._encoded_texts)


def _id_of(change: Versioned | Change) -> str:
    return change.id if isinstance(change, Change) else change.document.id


def _portion(changes: Iterator[Versioned | Change]) -> list[Versioned | Change]:
    return list(islice(changes, PORTION_DOCUMENTS))
