"""Measures the memory and the database of a server by its documents, for the requests and limits of containers."""

import itertools
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scale.vectors import CHUNK_VECTORS, Source
from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peaks
from benchmarks.serving.process import memory_of, memory_with_children
from benchmarks.serving.setting import Setting
from chaja import connect
from chaja.v1 import SearchRequest
from sample.server_process import ServerProcess, running_server
from server.catalogue.database import DATABASE
from server.catalogue.document import Document
from server.catalogue.encoded import Vectors
from server.catalogue.store import Store
from server.defaults import HNSW_FROM_VECTORS
from server.encoding.manifest import read_manifest

SEARCHES = 3000
GIVE_UP_SECONDS = 3600
SAMPLE_SECONDS = 0.05

DOCUMENT_VECTORS = 2
"""Vectors of a document: of its title, and of its text."""

GRAPH_LINE = re.compile(r"the graph of the index has (\d+) vectors")
GRAPH_SHARE = 0.8

PORTION_DOCUMENTS = CHUNK_VECTORS // DOCUMENT_VECTORS


def measure_memory(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields, for stores of several sizes, the memory after searches and the most since the start, and the database."""
    del peaks
    source = Source(setting.bundle, setting.kept)
    searches = min(SEARCHES, setting.requests)
    for count in setting.documents:
        with tempfile.TemporaryDirectory() as data:
            _fill(Path(data), source, setting, count)
            flags = ["--bundle", str(setting.bundle), "--data", data]
            flags += ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
            with running_server(flags) as server, _most_memory(server.process.pid) as most_bytes:
                if count * DOCUMENT_VECTORS >= HNSW_FROM_VECTORS:
                    _wait_for_graph(server, count * DOCUMENT_VECTORS)
                _search(setting, server, searches)
                resident_bytes = memory_of(server.process.pid)
            database_bytes = (Path(data) / DATABASE).stat().st_size
        after = f"{count * DOCUMENT_VECTORS:,} vectors, after {searches:,} searches"
        yield Figure(f"{count:,} documents: resident memory", [resident_bytes / 1e6], "{:.0f} MB", note=after)
        yield Figure(f"{count:,} documents: database", [database_bytes / 1e6], "{:.1f} MB")
        with_builder = "since the start, with the process that builds the graph"
        yield Figure(f"{count:,} documents: most memory", [max(most_bytes) / 1e6], "{:.0f} MB", note=with_builder)


def _fill(directory: Path, source: Source, setting: Setting, count: int) -> None:
    """Writes documents with a title and a text of three sentences. Their vectors are made: encoding takes long."""
    texts = [str(query.fields["query"]) for query in setting.queries]
    revision = read_manifest(setting.bundle).revision
    with closing(Store(directory, durable=False)) as store:
        for start in range(0, count, PORTION_DOCUMENTS):
            portion = range(start, min(count, start + PORTION_DOCUMENTS))
            rows = source.documents(len(portion) * DOCUMENT_VECTORS, start=start * DOCUMENT_VECTORS)
            with store.write() as transaction:
                for number, matrix in zip(portion, np.split(rows, len(portion)), strict=True):
                    transaction.put(*_document(number, texts, matrix), revision=revision)


def _document(number: int, texts: Sequence[str], matrix: Any) -> tuple[Document, Vectors]:
    shift = 1 + number // len(texts)
    said = [texts[(number + step * shift) % len(texts)] for step in range(4)]
    title, text = f"{said[0]} {number}", " ".join([*said[1:], str(number)])
    spans = np.array([[0, 0, len(title)], [1, 0, len(text)]], dtype=np.int32)
    return Document(id=f"document {number}", title=title, text=text), Vectors(spans, matrix)


def _search(setting: Setting, server: ServerProcess, count: int) -> None:
    with connect(server.address) as client:
        search: Any = client.search.Search
        for query in itertools.islice(itertools.cycle(setting.queries), count):
            search(SearchRequest(query=query.fields["query"]), timeout=GIVE_UP_SECONDS)


def _wait_for_graph(server: ServerProcess, vectors: int) -> None:
    """Waits until the graph has nearly all vectors. A first graph, of a part of them, is extended."""
    ends = time.monotonic() + GIVE_UP_SECONDS
    while not any(
        (found := GRAPH_LINE.search(line)) and int(found[1]) >= GRAPH_SHARE * vectors for line in list(server.lines)
    ):
        assert time.monotonic() < ends, "no graph was built"
        time.sleep(SAMPLE_SECONDS)


@contextmanager
def _most_memory(pid: int) -> Iterator[list[int]]:
    """Yields a list whose largest element is the most memory of a process and its children so far, in bytes."""
    samples = [memory_with_children(pid)]
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            samples[0] = max(samples[0], memory_with_children(pid))

    sampling = threading.Thread(target=sample)
    sampling.start()
    try:
        yield samples
    finally:
        ended.set()
        sampling.join()
