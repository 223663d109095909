"""Measures the time until a write on one server is found on the others."""

import itertools
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import chaja
from benchmarks.replicas.replica import Replica, target_of
from benchmarks.replicas.traffic import Traffic, made_document
from benchmarks.serving.figure import Figure
from chaja.v1 import Mode, SearchRequest, Upsert, UpsertDocumentsRequest

MOST_P99_MS = 200.0
WRITERS = 1
SEARCHERS = 2
PAUSE_SECONDS = 0.002
CALL_SECONDS = 30.0


def measure_visibility(replicas: Sequence[Replica], *, seconds: float, seed: int = 0) -> Iterator[Figure]:
    """Yields the time from an acknowledged write until searches on the other servers find it."""
    rng = random.Random(seed)
    clients = [chaja.connect(each.address) for each in replicas]
    traffic = Traffic(target_of(replicas), writers=WRITERS, searchers=SEARCHERS, seed=seed)
    found: list[float] = []
    written: list[float] = []
    try:
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(len(clients)) as pool:
            for number in itertools.count():
                if time.monotonic() > until:
                    break
                writer, *others = clients[number % len(clients) :] + clients[: number % len(clients)]
                document = made_document(f"visible-{number}", rng)
                started = time.monotonic()
                writer.catalog.UpsertDocuments(
                    UpsertDocumentsRequest(upserts=[Upsert(document=document)]), timeout=CALL_SECONDS
                )
                acknowledged = time.monotonic()
                written.append(1e3 * (acknowledged - started))
                waits = [pool.submit(_wait_until_found, each, document.titles[0].text, document.id) for each in others]
                found += [1e3 * (each.result() - acknowledged) for each in waits]
    finally:
        counts = traffic.stop()
        for each in clients:
            each.close()
    beside = f"beside {len(counts.searches) / seconds:.0f} searches and {counts.writes / seconds:.0f} changes a second"
    yield Figure("a write, p50", [float(np.median(written))], "{:.0f} ms", note=f"of {len(written):,}, {beside}")
    yield Figure("visible on another server, p50", [float(np.median(found))], "{:.0f} ms")
    yield Figure("visible on another server, p99", [float(np.percentile(found, 99))], "{:.0f} ms", at_most=MOST_P99_MS)
    yield Figure("visible on another server, slowest", [max(found)], "{:.0f} ms")


def _wait_until_found(client: chaja.Client, title: str, id: str) -> float:
    """Searches again and again; returns when the answer with the document has arrived."""
    until = time.monotonic() + CALL_SECONDS
    while time.monotonic() < until:
        answer = client.search.Search(SearchRequest(query=title, mode=Mode.MODE_LEXICAL, limit=1), timeout=CALL_SECONDS)
        if [hit.document_id for hit in answer.hits] == [id]:
            return time.monotonic()
        time.sleep(PAUSE_SECONDS)
    raise TimeoutError(f"{id} was not found within {CALL_SECONDS} s")
