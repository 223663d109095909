"""Load on a server until it is killed: writers of every kind, and searches between their writes."""

import queue
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import grpc

import chaja
from chaja.v1 import (
    BatchSearchRequest,
    Delete,
    DeleteDocumentsRequest,
    Document,
    GetDocumentRequest,
    ImportDocumentsRequest,
    Mode,
    SearchRequest,
    Upsert,
    UpsertDocumentsRequest,
    WriteResult,
)
from tests.integration.durability.documents import batch_filter, random_document
from tests.integration.durability.ledger import Attempt, Ledger, plain

MODES = (Mode.MODE_DENSE, Mode.MODE_LEXICAL, Mode.MODE_HYBRID)

SHARED_IDS = [f"shared-{number}" for number in range(6)]

IMPORTED_DOCUMENTS = 45
MESSAGE_DOCUMENTS = 9

KEPT_DOCUMENTS = 30
"""Approximate number of documents of each writer."""

GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
"""Status codes of a call whose server is killed."""


class Load:
    """Threads that write and search until the server is gone."""

    def __init__(self, client: chaja.Client, ledger: Ledger, rng: random.Random, *, name: str) -> None:
        """Prepares the threads; `name` distinguishes this load from others on the same store."""
        self.client = client
        self.ledger = ledger
        self.name = name
        self.problems: list[BaseException] = []
        self._stopped = threading.Event()
        works: list[Callable[[random.Random], None]] = [self._write_own, self._write_shared, self._write_shared]
        works += [self._import, self._search]
        self._threads = [
            threading.Thread(target=self._run, args=(work, random.Random(rng.random()), number))
            for number, work in enumerate(works)
        ]
        self._number = threading.local()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Waits until all threads have ended; raises the error of a failed thread."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        if self.problems:
            raise self.problems[0]

    def _run(self, work: Callable[[random.Random], None], rng: random.Random, number: int) -> None:
        self._number.value = number
        try:
            while not self._stopped.is_set():
                work(rng)
        except grpc.RpcError as error:
            if error.code() not in GONE:
                self.problems.append(error)
        except BaseException as error:
            self.problems.append(error)

    def _write_own(self, rng: random.Random) -> None:
        """Writes documents that no other thread writes, several per call, and searches for them."""
        own = [id for id, known in list(self.ledger.documents.items()) if id.startswith("own-") and known.document]
        choice = rng.random()
        if len(own) > KEPT_DOCUMENTS or (choice < 0.2 and own):
            if rng.random() < 0.5:
                self.delete(rng.sample(own, min(len(own), rng.randrange(1, 20))))
            else:
                self._delete_batch(rng, own)
            return
        batch = f"{self.name}-{rng.randrange(2**40)}"
        ids = rng.sample(own, min(len(own), rng.randrange(0, 4)))
        ids += [f"own-{rng.randrange(2**40)}" for _ in range(rng.choice((1, 1, 2, 5, 20)))]
        documents = {id: random_document(rng, id, batch=batch) for id in ids}
        results = self.upsert(documents, request_id=f"{batch}" if rng.random() < 0.5 else "")
        written = rng.choice(results)
        mode = rng.choice(MODES)
        request = SearchRequest(query=documents[written.id].titles[0].text, mode=mode, limit=1)
        hits = self.client.search.Search(request).hits
        assert [(hit.document_id, hit.version) for hit in hits] == [(written.id, written.version)], (
            f"{written.id} was acknowledged and is not found: {request} {hits}"
        )

    def upsert(self, documents: Mapping[str, Document], *, request_id: str = "") -> list[WriteResult]:
        """Writes documents that no other thread writes."""
        attempt = self.ledger.begin(Attempt(documents, alone=True, request_id=request_id))
        results = self._upsert(attempt)
        for result in results:
            self.ledger.answered(attempt, result.id, result.version)
        return results

    def repeat_upsert(self, attempt: Attempt, documents: Mapping[str, Document]) -> None:
        """Repeats a call that got no answer: it must take effect once. `documents` are those before it."""
        again = self.ledger.begin(attempt)
        for result in self._upsert(again):
            there = documents.get(result.id)
            if there is not None and plain(there) == again.wanted[result.id]:
                assert result.version == there.version, f"{result.id} was written twice: {result} {there.version}"
                self.ledger.refused(again, [result.id])
            else:
                self.ledger.answered(again, result.id, result.version)

    def _upsert(self, attempt: Attempt) -> list[WriteResult]:
        request = UpsertDocumentsRequest(
            upserts=[Upsert(document=document) for document in attempt.wanted.values() if document is not None],
            request_id=attempt.request_id,
        )
        results = list(self.client.catalog.UpsertDocuments(request).results)
        assert [result.id for result in results] == list(attempt.wanted)
        for result in results:
            assert result.changed, f"a new document changed nothing: {result}"
            assert not result.HasField("error"), f"{result}"
        return results

    def delete(self, ids: list[str]) -> None:
        """Deletes documents that no other thread writes."""
        attempt = self.ledger.begin(Attempt(dict.fromkeys(ids), alone=True))
        request = DeleteDocumentsRequest(deletes=[Delete(id=id) for id in ids])
        answer = self.client.catalog.DeleteDocuments(request)
        assert answer.deleted_count == len(ids)
        for result in answer.results:
            self.ledger.answered(attempt, result.id, result.version)

    def _delete_batch(self, rng: random.Random, own: list[str]) -> None:
        documents = {id: document for id in own if (document := self.ledger.documents[id].document) is not None}
        batch = str(documents[rng.choice(own)].attributes["batch"])
        ids = [id for id, document in documents.items() if document.attributes["batch"] == batch]
        attempt = self.ledger.begin(Attempt(dict.fromkeys(ids), alone=True))
        answer = self.client.catalog.DeleteDocuments(DeleteDocumentsRequest(filter=batch_filter(batch)))
        assert answer.deleted_count == len(ids), f"{answer} of {ids}"
        for id in ids:  # The answer does not have their versions; they are above those of the documents.
            self.ledger.gone(attempt, id)

    def _write_shared(self, rng: random.Random) -> None:
        """Writes documents that other threads write, too, with and without an expected version."""
        ids = rng.sample(SHARED_IDS, rng.choice((1, 1, 2)))
        wanted: dict[str, Document | None] = {id: random_document(rng, id, batch="shared") for id in ids}
        if rng.random() < 0.2:
            wanted = dict.fromkeys(ids)
        expected: dict[str, int | None] = dict.fromkeys(ids)
        if rng.random() < 0.6:
            expected = {id: self._version(id) for id in ids}
        if not any(wanted.values()):
            expected = {id: version or None for id, version in expected.items()}
        attempt = self.ledger.begin(Attempt(wanted))
        if any(wanted.values()):
            upserts = [Upsert(document=each, expected_version=expected[id]) for id, each in wanted.items() if each]
            results = self.client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=upserts)).results
        else:
            deletes = [Delete(id=id, expected_version=expected[id]) for id in ids]
            results = self.client.catalog.DeleteDocuments(DeleteDocumentsRequest(deletes=deletes)).results
        for result in results:
            if result.HasField("error"):
                assert result.error.reason == "CONFLICT", f"{result}"
                self.ledger.refused(attempt, [result.id])
            elif not result.changed:
                assert wanted[result.id] is None, f"a new document changed nothing: {result}"
                self.ledger.refused(attempt, [result.id])
            else:
                self.ledger.answered(attempt, result.id, result.version, expected_version=expected[result.id])

    def _version(self, id: str) -> int:
        try:
            return self.client.catalog.GetDocument(GetDocumentRequest(id=id)).document.version
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return 0

    def _import(self, rng: random.Random) -> None:
        """Imports a list of documents, or resumes the interrupted import."""
        name = self.ledger.open_import
        if name is None:
            name = self.ledger.open_import = f"{self.name}-{rng.randrange(2**40)}"
            self.ledger.import_position = 0
        seeded = random.Random(name)
        documents = [random_document(seeded, f"imported-{number}", batch=name) for number in range(IMPORTED_DOCUMENTS)]
        requests: queue.SimpleQueue[ImportDocumentsRequest | None] = queue.SimpleQueue()
        call: Any = self.client.catalog.ImportDocuments(iter(requests.get, None), timeout=30)
        try:
            requests.put(ImportDocumentsRequest(import_id=name))
            position = next(call).position
            assert position >= self.ledger.import_position, f"resumed at {position}, below what was acknowledged"
            while position < len(documents) and not self._stopped.is_set():
                portion = documents[position : position + MESSAGE_DOCUMENTS]
                attempt = self.ledger.begin(Attempt({each.id: each for each in portion}, alone=True))
                requests.put(ImportDocumentsRequest(upserts=[Upsert(document=each) for each in portion]))
                answer = next(call)
                position += len(portion)
                assert answer.position == position
                for result in answer.results:
                    assert not result.HasField("error"), f"{result}"
                    self.ledger.answered(attempt, result.id, result.version)
                self.ledger.import_position = position
            if position == len(documents):
                self.ledger.open_import = None
        finally:
            requests.put(None)
            call.cancel()

    def _search(self, rng: random.Random) -> None:
        """Searches for documents that may exist."""
        time.sleep(0.02)
        titles = self.ledger.titles()
        if titles:
            query = SearchRequest(query=rng.choice(titles), mode=rng.choice(MODES), limit=10)
            responses = self.client.search.BatchSearch(BatchSearchRequest(requests=[query] * 2)).responses
            assert all(response.sequence for response in responses)
