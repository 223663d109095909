"""Measures the time until a server's health is SERVING, and its memory after searches."""

import itertools
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peaks
from benchmarks.serving.process import memory_of
from benchmarks.serving.setting import NO_CACHE, Setting
from chaja import connect
from chaja.v1 import SearchRequest
from sample.server_process import running_server

LONGEST_COLD_SECONDS = 3
LONGEST_WARM_SECONDS = 1.5
MOST_MEMORY = 350
SEARCHES = 3000
GIVE_UP_SECONDS = 300


def measure_start(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the start times with the sample catalogue: cold encodes it; warm reads its vectors from the store."""
    del peaks
    cold, warm = [], []
    for _ in range(setting.repeats):
        with tempfile.TemporaryDirectory() as data:
            cold.append(_start(setting, data))
            warm.append(_start(setting, data))
    yield Figure("from exec to SERVING, cold", cold, "{:.2f} s", at_most=LONGEST_COLD_SECONDS)
    yield Figure("from exec to SERVING, warm", warm, "{:.2f} s", at_most=LONGEST_WARM_SECONDS)
    searches = min(SEARCHES, setting.requests)
    memory, note = _memory_after_searches(setting, searches) / 1e6, f"after {searches:,} searches"
    yield Figure("resident memory", [memory], "{:.0f} MB", at_most=MOST_MEMORY, note=note)


def _memory_after_searches(setting: Setting, searches: int) -> int:
    """Returns the resident memory of a server in bytes."""
    with setting.server(*NO_CACHE) as server, connect(server.address) as client:
        search: Any = client.search.Search
        for query in itertools.islice(itertools.cycle(setting.queries), searches):
            search(SearchRequest(query=query.fields["query"]), timeout=GIVE_UP_SECONDS)
        return memory_of(server.process.pid)


def _start(setting: Setting, data: str) -> float:
    serving: list[float] = []
    watches: list[threading.Thread] = []

    def watch(address: str) -> None:
        """Waits on the server's health stream: polling would slow its start."""
        with grpc.insecure_channel(address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service="chaja.v1.SearchService")
            for answer in stub.Watch(request, timeout=GIVE_UP_SECONDS):
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    serving.append(time.monotonic())
                    return

    def listen(line: str) -> None:
        if found := re.search(r"gRPC on (\S+), metrics on", line):
            watches.append(threading.Thread(target=watch, args=(found[1],)))
            watches[-1].start()

    began = time.monotonic()
    with running_server(setting.arguments("--data", data), echo=listen):
        watches[0].join()
    return serving[0] - began
