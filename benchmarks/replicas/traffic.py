"""Writers and searchers that share one channel to all servers, and what they know afterwards."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc

import chaja
from chaja.v1 import (
    Delete,
    DeleteDocumentsRequest,
    Document,
    LocalizedText,
    Mode,
    SearchRequest,
    Upsert,
    UpsertDocumentsRequest,
    WriteResult,
)

MODES = (Mode.MODE_DENSE, Mode.MODE_LEXICAL, Mode.MODE_HYBRID)

DEADLINE_SECONDS = 15.0
"""Deadline of each search, as docs/clients.md advises."""

WRITE_SECONDS = 15.0
"""Deadline of each attempt of a write."""

REPEATED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
"""Codes after which a writer makes the same call again."""

REPEAT_PAUSE_SECONDS = 0.1
SEARCH_PAUSE_SECONDS = 0.03
WRITE_PAUSE_SECONDS = 0.01

KEPT_DOCUMENTS = 150
"""Documents of each writer, about."""

T = TypeVar("T")


@dataclass
class Written:
    """The last acknowledged state of a document; None is deleted."""

    version: int
    document: Document | None


@dataclass
class Counts:
    """Results of all threads.

    Attributes:
        documents: The documents that were acknowledged, by id.
        writes: Acknowledged changes of documents.
        repeats: Attempts of writes without an acknowledgement, by code.
        wrong: Answers that contradict the earlier ones.
        searches: Duration of each search in seconds.
        failed: Errors of searches, after the client's own retries.
    """

    documents: dict[str, Written] = field(default_factory=dict)
    writes: int = 0
    repeats: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    searches: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class Traffic:
    """Threads that write and search until `stop`."""

    def __init__(
        self, target: str, *, writers: int, searchers: int, deadline_seconds: float = DEADLINE_SECONDS, seed: int = 0
    ) -> None:
        """Connects to all addresses of a target. Each search has a deadline."""
        self._deadline_seconds = deadline_seconds
        self.counts = Counts()
        self._client = chaja.connect(target)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._versions: set[int] = set()
        rng = random.Random(seed)
        self._threads = [
            threading.Thread(target=self._run, args=(work, f"{work.__name__}-{number}", random.Random(rng.random())))
            for work, count in ((self._write, writers), (self._search, searchers))
            for number in range(count)
        ]
        for each in self._threads:
            each.start()

    def stop(self) -> Counts:
        """Waits until every write is acknowledged and every search answered; returns the results."""
        self._stopped.set()
        for each in self._threads:
            each.join()
        self._client.close()
        return self.counts

    def _run(self, work: Callable[[str, int, random.Random], None], name: str, rng: random.Random) -> None:
        number = 0
        while not self._stopped.is_set():
            try:
                work(name, number, rng)
            except Exception as error:  # Recorded: a thread that ends would make the load lighter.
                self.counts.wrong.append(f"{name}: {error!r}")
                self._stopped.wait(1.0)
            number += 1

    def _write(self, name: str, number: int, rng: random.Random) -> None:
        """Makes one change of documents of this writer, and repeats it until it is acknowledged."""
        time.sleep(WRITE_PAUSE_SECONDS)
        own = [id for id, each in self._known() if id.startswith(name) and each.document is not None]
        call = f"{name}-call-{number}"
        if len(own) > KEPT_DOCUMENTS or (own and rng.random() < 0.15):
            ids = rng.sample(own, min(len(own), rng.choice((1, 2, 20))))
            deletes = [Delete(id=id, expected_version=self._expected(id, rng)) for id in ids]
            deletion = DeleteDocumentsRequest(deletes=deletes, request_id=call)
            deleted = self._repeat(lambda: self._client.catalog.DeleteDocuments(deletion, timeout=WRITE_SECONDS))
            self._acknowledge(deleted.results, dict.fromkeys(ids))
            return
        ids = rng.sample(own, min(len(own), rng.choice((0, 0, 1, 2))))
        ids += [f"{name}-{number}-{each}" for each in range(rng.choice((0, 1, 1, 3)) if ids else 1)]
        documents = {id: made_document(id, rng) for id in ids}
        upserts = [Upsert(document=each, expected_version=self._expected(id, rng)) for id, each in documents.items()]
        request = UpsertDocumentsRequest(upserts=upserts, request_id=call)
        answer = self._repeat(lambda: self._client.catalog.UpsertDocuments(request, timeout=WRITE_SECONDS))
        self._acknowledge(answer.results, documents)

    def _expected(self, id: str, rng: random.Random) -> int | None:
        """Returns the version that a conditional write expects, or None for a write without a condition."""
        known = self.counts.documents.get(id)
        return known.version if known is not None and rng.random() < 0.5 else None

    def _repeat(self, call: Callable[[], T]) -> T:
        while True:
            try:
                return call()
            except grpc.RpcError as error:
                if error.code() not in REPEATED:
                    raise
                with self._lock:
                    self.counts.repeats[error.code().name] += 1
                time.sleep(REPEAT_PAUSE_SECONDS)

    def _acknowledge(self, results: Sequence[WriteResult], wanted: dict[str, Any]) -> None:
        with self._lock:
            if [each.id for each in results] != list(wanted):
                self.counts.wrong.append(f"an answer has results for other documents: {results}")
            for each in results:
                known = self.counts.documents.get(each.id)
                if each.HasField("error") or not each.changed:
                    self.counts.wrong.append(f"a write was refused: {each}")
                elif each.version <= (known.version if known else 0) or each.version in self._versions:
                    self.counts.wrong.append(f"a version is not above the one before it: {each}")
                self._versions.add(each.version)
                self.counts.documents[each.id] = Written(each.version, wanted[each.id])
                self.counts.writes += 1

    def _search(self, name: str, number: int, rng: random.Random) -> None:
        """Searches for a document that may have changed since."""
        time.sleep(SEARCH_PAUSE_SECONDS)
        documents = [each.document for _, each in self._known() if each.document is not None]
        query = rng.choice(documents).titles[0].text if documents else name
        request = SearchRequest(query=query, mode=MODES[number % len(MODES)], limit=10)
        started = time.monotonic()
        try:
            self._client.search.Search(request, timeout=self._deadline_seconds)
        except grpc.RpcError as error:
            self.counts.failed.append(
                f"{error.code().name} after {time.monotonic() - started:.1f} s: {error.details()}"
            )
        self.counts.searches.append(time.monotonic() - started)

    def _known(self) -> list[tuple[str, Written]]:
        with self._lock:
            return list(self.counts.documents.items())


def made_document(id: str, rng: random.Random) -> Document:
    """Returns a document whose title no other one has."""
    syllables = ["".join(chr(rng.randrange(0xAC00, 0xD7A4)) for _ in range(5)) for _ in range(2)]
    number = rng.randrange(1000)
    text = LocalizedText(text=f"문서 {number % 7} 번호 {number}")
    document = Document(id=id, titles=[LocalizedText(text=" ".join(syllables))], texts=[text])
    document.attributes.update({"number": number})
    return document
