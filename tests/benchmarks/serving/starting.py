"""How long from the start of the process until its health says SERVING."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sample.server_process import running_server
from tests.benchmarks.serving.figure import Figure
from tests.benchmarks.serving.peak import Peaks
from tests.benchmarks.serving.setting import Setting

LONGEST_SECONDS = 3
GIVE_UP_SECONDS = 60


def measure_start(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the time, with the sample catalogue, which is encoded meanwhile."""
    del peaks
    times = tuple(_start(setting) for _ in range(setting.repeats))
    yield Figure(name="from exec to SERVING", values=times, written="{:.2f} s", at_most=LONGEST_SECONDS)


def _start(setting: Setting) -> float:
    serving: list[float] = []
    watches: list[threading.Thread] = []

    def watch(address: str) -> None:
        """Lets the server say itself when it serves: looking again and again would slow its start."""
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
    with running_server(setting.arguments(), echo=listen):
        watches[0].join()
    return serving[0] - began
