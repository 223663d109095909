"""Measures one store alone: its writes and reads."""

import itertools
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from server.catalogue.document import Document
from server.catalogue.encoded import Vectors
from server.catalogue.store import Store

SINGLE_DOCUMENTS = 300
GROUP_DOCUMENTS = 256
"""Documents that are committed together, as a message of an import."""

GROUPS = 10
DIMENSION = 384
TEXT_CHARACTERS = 300

REVISION = "measured"


class Speed(NamedTuple):
    """The speed of a store.

    Attributes:
        single_ms: Median time of a transaction that writes one document.
        written: Documents written a second, `GROUP_DOCUMENTS` in a transaction.
        followed: Documents read a second for the index, with their vectors.
        got_ms: Median time of reading one document by its id.
    """

    single_ms: float
    written: float
    followed: float
    got_ms: float


def measure_store(store: Store) -> Speed:
    """Writes and reads documents of two parts, a title and a text, with vectors of 384 numbers."""
    documents = _documents()
    single = []
    for _ in range(SINGLE_DOCUMENTS):
        started = time.perf_counter()
        _write(store, documents, count=1)
        single.append(time.perf_counter() - started)
    started = time.perf_counter()
    for _ in range(GROUPS):
        _write(store, documents, count=GROUP_DOCUMENTS)
    written = GROUPS * GROUP_DOCUMENTS / (time.perf_counter() - started)
    started = time.perf_counter()
    followed = sum(1 for _ in store.after(0, REVISION)) / (time.perf_counter() - started)
    got = []
    for number in range(SINGLE_DOCUMENTS):
        started = time.perf_counter()
        assert store.get(f"document {number}") is not None
        got.append(time.perf_counter() - started)
    return Speed(1e3 * statistics.median(single), written, followed, 1e3 * statistics.median(got))


def _write(store: Store, documents: Iterator[tuple[Document, Vectors]], *, count: int) -> None:
    """Writes documents as the committer does: their versions are read first, and each is a request."""
    some = list(itertools.islice(documents, count))
    with store.write() as transaction:
        transaction.read_versions(document.id for document, _ in some)
        for document, vectors in some:
            with transaction.together():
                assert not transaction.holds(document)
                transaction.put(document, vectors, revision=REVISION)


def _documents() -> Iterator[tuple[Document, Vectors]]:
    rng = np.random.default_rng(1)
    spans = np.array([[0, 0, 20], [1, 0, TEXT_CHARACTERS]], dtype=np.int32)
    number = 0
    while True:
        text = "".join(map(chr, rng.integers(0xAC00, 0xD7A4, TEXT_CHARACTERS)))
        document = Document(id=f"document {number}", title=text[:20], text=text, attributes={"number": number})
        yield document, Vectors(spans, rng.standard_normal((2, DIMENSION), dtype=np.float32))
        number += 1
