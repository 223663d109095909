"""Imports many documents over one call, and resumes automatically after a lost connection."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import grpc

from chaja.client import Client
from chaja.v1 import ImportDocumentsRequest, Upsert, WriteResult

WINDOW_MESSAGES = 2
"""Maximum messages without an answer: the server writes one while the next one arrives."""

MESSAGE_DOCUMENTS = 200
MESSAGE_BYTES = 1024 * 1024
"""Maximum size of a message, unless its first document is larger."""

MAX_WAIT_SECONDS = 5.0


def import_documents(
    client: Client, upserts: Sequence[Upsert], *, import_id: str, max_attempts: int = 10
) -> Iterator[WriteResult]:
    """Writes documents in their order, and yields the result of each when it is on the server's disk.

    While the server is UNAVAILABLE, it waits and then resumes after the last answer. Documents whose answer was lost
    are written again; that changes nothing, unless an `expected_version` now conflicts. If the program was interrupted,
    call this again with the same `upserts` and `import_id`: it starts after the documents that the server has.

    Args:
        client: From `chaja.connect`.
        upserts: All documents of the import, always in the same order.
        import_id: Name of the import, unique to this list; from 1 to 256 characters.
        max_attempts: Maximum calls in a row that fail without progress. The wait between them grows to 5 seconds.

    Yields:
        One result for each document that this call writes. `error` is set if the document was rejected.

    Raises:
        grpc.RpcError: The import failed. The code ABORTED means that another call has taken over the import.

    Examples:
        >>> import chaja
        >>> from chaja.v1 import Document, Upsert
        >>> documents = [Document(id="fees", titles=[{"text": "Fees"}]), Document(id="empty")]
        >>> upserts = [Upsert(document=document) for document in documents]
        >>> with chaja.connect("localhost:50051") as client:
        ...     for result in chaja.import_documents(client, upserts, import_id="services 2026-12-01"):
        ...         print(result.id, result.error.reason or "written")
        fees written
        empty INVALID_REQUEST
    """
    answered: int | None = None
    failed = 0
    while True:
        try:
            for position, results in _call(client, upserts, import_id, answered):
                answered, failed = position, 0 if results else failed
                yield from results
            return
        except grpc.RpcError as error:
            failed += 1
            if error.code() is not grpc.StatusCode.UNAVAILABLE or failed >= max_attempts:
                raise
            time.sleep(min(MAX_WAIT_SECONDS, 0.05 * 2**failed))


def _call(
    client: Client, upserts: Sequence[Upsert], import_id: str, answered: int | None
) -> Iterator[tuple[int, Sequence[WriteResult]]]:
    """Makes one call; yields the number of answered documents and the new results: at its start, then per answer."""
    requests: SimpleQueue[ImportDocumentsRequest | None] = SimpleQueue()
    call: Any = client.catalog.ImportDocuments(iter(requests.get, None))
    try:
        requests.put(ImportDocumentsRequest(import_id=import_id))
        position = next(call).position
        sent = answered = position if answered is None else min(answered, position)
        yield answered, ()
        sizes: deque[int] = deque()
        while sent < len(upserts) or sizes:
            while sent < len(upserts) and len(sizes) < WINDOW_MESSAGES:
                message = _message(upserts, sent)
                requests.put(message)
                sizes.append(len(message.upserts))
                sent += len(message.upserts)
            results = next(call).results
            answered += sizes.popleft()
            yield answered, results
        requests.put(None)
        for _ in call:
            pass  # The end of the call raises its error, if any.
    finally:
        requests.put(None)
        call.cancel()


def _message(upserts: Sequence[Upsert], position: int) -> ImportDocumentsRequest:
    """Returns the message that starts with the document at a position."""
    message = ImportDocumentsRequest(position=position)
    size_bytes = 0
    for upsert in upserts[position : position + MESSAGE_DOCUMENTS]:
        size_bytes += upsert.ByteSize()
        if message.upserts and size_bytes > MESSAGE_BYTES:
            break
        message.upserts.append(upsert)
    return message
