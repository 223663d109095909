"""Measures the speed of writes, and the latency of searches during them."""

import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import chaja
from benchmarks.serving.bare import encode_bare
from benchmarks.serving.documents import new_documents, texts_of, write_queries
from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peaks
from benchmarks.serving.setting import NO_CACHE, Setting
from chaja.v1 import EncodeRequest, ImportDocumentsRequest, SearchRequest, TextKind, Upsert, UpsertDocumentsRequest

CALL_DOCUMENTS = 10
CALLS = 30
IMPORT_DOCUMENTS = 256
"""Documents per message of an import."""

IMPORTS_AHEAD = 2
"""Unanswered messages of an import."""

BARE_TEXTS = 2000
BARE_BATCH = 8

SEARCH_SHARE = 0.25
"""Rate of searches during an import, as a share of the peak."""


def measure_writes(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the times of a write and of encoding its texts, and the rates of an import and of the encoder."""
    documents = new_documents(setting.queries)
    written, encoded, rates, bare = [], [], [], []
    alone, beside, beside_rates = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        queries = write_queries(
            Path(folder) / "queries.jsonl", texts_of(list(itertools.islice(documents, BARE_TEXTS // 2)))
        )
        with setting.server("--data", folder, *NO_CACHE) as server, chaja.connect(server.address) as client:
            for _ in range(setting.repeats):
                write_ms, encode_ms = _upserts(client, documents)
                written.append(write_ms)
                encoded.append(encode_ms)
                rates.append(import_documents(client, documents, seconds=setting.seconds))
                bare.append(encode_alone(setting, queries))
            rate = SEARCH_SHARE * peaks.peak.rate
            for seed in range(setting.repeats):
                alone.append(setting.opened(server, rate, seed=seed).latency_ms(99))
                stopped = threading.Event()
                with ThreadPoolExecutor(1) as pool:
                    importing = pool.submit(import_documents, client, documents, stopped=stopped)
                    try:
                        beside.append(setting.opened(server, rate, seed=seed).latency_ms(99))
                    finally:
                        stopped.set()
                beside_rates.append(importing.result())
    beyond = [write - encode for write, encode in zip(written, encoded, strict=True)]
    share = [imported / encoder for imported, encoder in zip(rates, bare, strict=True)]
    slower = [with_import / without for with_import, without in zip(beside, alone, strict=True)]
    note = f"{SEARCH_SHARE:.0%} of the peak, Poisson"
    yield Figure(f"{CALL_DOCUMENTS} documents encoded, p50", encoded, "{:.1f} ms")
    yield Figure(f"{CALL_DOCUMENTS} documents written and searchable, p50", written, "{:.1f} ms")
    yield Figure("write beyond encoding", beyond, "{:.1f} ms", at_most=10)
    yield Figure("encoder alone, texts a second", bare)
    yield Figure("imported texts a second", rates)
    yield Figure("import against the encoder", share, "{:.2f}", at_least=0.8)
    yield Figure("searches alone, p99", alone, "{:.1f} ms", note=note)
    yield Figure("searches during an import, p99", beside, "{:.1f} ms", note=note)
    yield Figure("p99 during an import, against searches alone", slower, "{:.2f} ×", at_most=2)
    yield Figure("imported texts a second during searches", beside_rates)


def _upserts(client: chaja.Client, documents: Iterator[Upsert]) -> tuple[float, float]:
    """Returns the median milliseconds of calls that write documents, and of calls that encode their texts."""
    written, encoded = [], []
    for _ in range(CALLS):
        upserts = list(itertools.islice(documents, CALL_DOCUMENTS))
        started = time.perf_counter()
        # Truncation of long texts reduces the work of the encoder, but not that of the write.
        client.encode.Encode(
            EncodeRequest(texts=texts_of(upserts), text_kind=TextKind.TEXT_KIND_DOCUMENT, truncate=True)
        )
        encoded.append(time.perf_counter() - started)
        started = time.perf_counter()
        response = client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=upserts))
        written.append(time.perf_counter() - started)
        assert all(result.changed for result in response.results), "every document was written"
        last = upserts[-1].document
        found = client.search.Search(SearchRequest(query=last.titles[0].text, limit=3))
        assert last.id in [hit.document_id for hit in found.hits], "the next search finds the written document"
    return 1e3 * statistics.median(written), 1e3 * statistics.median(encoded)


def encode_alone(setting: Setting, queries: Path) -> float:
    threads = len(setting.cores)
    return encode_bare(setting.bundle, queries, threads=threads, batch=BARE_BATCH, seconds=setting.seconds).rate


def import_documents(
    client: chaja.Client,
    documents: Iterator[Upsert],
    *,
    seconds: float = float("inf"),
    stopped: threading.Event | None = None,
) -> float:
    """Imports until the time is over or a test stops it; returns the texts a second from first to last answer."""
    room = threading.Semaphore(IMPORTS_AHEAD)
    ends = time.monotonic() + seconds
    sent: list[int] = []

    def requests() -> Iterator[ImportDocumentsRequest]:
        yield ImportDocumentsRequest(import_id=f"import {time.time()}")
        while time.monotonic() < ends and not (stopped is not None and stopped.is_set()):
            upserts: Sequence[Upsert] = list(itertools.islice(documents, IMPORT_DOCUMENTS))
            sent.append(len(texts_of(upserts)))
            room.acquire()
            yield ImportDocumentsRequest(upserts=upserts)

    answered: list[float] = []
    for number, response in enumerate(client.catalog.ImportDocuments(requests())):
        if number:  # The first answer has the position.
            assert all(result.changed for result in response.results), "every document was imported"
            room.release()
        answered.append(time.perf_counter())
    return sum(sent) / (answered[-1] - answered[0])
