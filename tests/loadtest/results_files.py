"""Hand-made results files for tests."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from loadtest.codes import OUTCOMES
from loadtest.results.blocks import Kind
from loadtest.results.file import Records, ResultsWriter
from loadtest.results.record import DTYPE, PACKER
from loadtest.stages import NO_STAGES

METHOD = "chaja.v1.SearchService/Search"
PLAN: Mapping[str, Any] = {
    "calls": [{"method": METHOD}],
    "loop": "open",
    "seconds": 10.0,
    "count": None,
    "warm_up_seconds": 0.0,
    "deadline_seconds": 1.0,
    "late_seconds": 0.002,
    "quality_at": 10,
}
WHOLE: Mapping[str, Any] = {"partial": ""}


def record(
    planned: float = 0.0,
    latency: float = 0.010,
    *,
    late: float = 0.0,
    code: str = "OK",
    call: int = 0,
    query: int = 0,
    same: int = -1,
    parts: tuple[int, int] = (0, 0),
    failed_checks: int = 0,
    stages: tuple[float, ...] = NO_STAGES,
    batch_texts: int = 0,
    quality: tuple[float, float] = (math.nan, math.nan),
    stream: tuple[int, int, float, float, float] = (1, 1, math.nan, math.nan, math.nan),
) -> bytes:
    """Returns a packed record; times are in seconds, latency is from the planned time, `parts` are all and failed."""
    planned_ns, late_ns, latency_ns = (round(seconds * 1e9) for seconds in (planned, late, latency))
    times = (planned_ns, planned_ns + late_ns, planned_ns + latency_ns)
    judged = (OUTCOMES.index(code), same, *parts, failed_checks)
    sent, received, *message_times = stream
    sizes = (sent, 10, received, 20)
    return PACKER.pack(*times, 0, query, *sizes, call, 0, *judged, batch_texts, *stages, *quality, *message_times)


def records(packed: Iterable[bytes]) -> Records:
    """Returns packed records as an array."""
    return np.frombuffer(b"".join(packed), dtype=DTYPE)


def vitals(**changes: Any) -> dict[str, Any]:
    """Returns a healthy worker's report on the second half of its first second."""
    report = {
        "process": 0,
        "seconds": 1.0,
        "elapsed_seconds": 0.5,
        "in_flight": 1,
        "dropped": 0,
        "loop_lag_seconds": 0.001,
        "loop_cpu_seconds": 0.1,
        "process_cpu_seconds": 0.2,
        "loop_waited_seconds": 0.0,
        "messages": [],
        "memory_bytes": 1000,
    } | changes
    return {"dropped_at": [[0, report["dropped"]]] if report["dropped"] else [], **report}


def write_run(
    path: Path,
    packed: Iterable[bytes],
    *,
    started: float = 1000.0,
    reports: Iterable[Mapping[str, Any]] = (),
    metrics: Iterable[Mapping[str, Any]] = (),
    environment: Mapping[str, Any] = MappingProxyType({}),
    workers: Iterable[Mapping[str, Any]] = (),
    end: Mapping[str, Any] | None = WHOLE,
    **plan: Any,
) -> Path:
    """Writes a run with its records in blocks of 100; without an end block if `end` is `None`."""
    every = list(packed)
    header = {"environment": dict(environment), "workers": list(workers), "started": started}
    with ResultsWriter(path, {"plan": {**PLAN, **plan}, **header}) as results:
        for first in range(0, len(every), 100):
            results.records(b"".join(every[first : first + 100]))
        for kind, blocks in ((Kind.VITALS, reports), (Kind.METRICS, metrics)):
            for each in blocks:
                results.json(kind, dict(each))
        if end is not None:
            results.json(Kind.END, dict(end))
    return path
