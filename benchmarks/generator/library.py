"""The same calls through gRPC's own asyncio library: what the generator would measure if it were built on that."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import Any

import grpc

DEADLINE_SECONDS = 10


@dataclass(frozen=True)
class Library:
    """What grpc.aio makes of a server.

    Attributes:
        rate: Calls a second of a closed loop.
        cpu_seconds: CPU of this process for each of them.
        p50_seconds: Median latency of calls by the clock.
    """

    rate: float
    cpu_seconds: float
    p50_seconds: float


def ask_library(address: str, method: str, message: bytes, *, seconds: float, rate: float, in_flight: int) -> Library:
    """Calls a method with one message: `in_flight` at a time as often as it goes, then `rate` times a second."""
    return asyncio.run(_ask(address, method, message, seconds=seconds, rate=rate, in_flight=in_flight))


async def _ask(address: str, method: str, message: bytes, *, seconds: float, rate: float, in_flight: int) -> Library:
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(method)
        await call(message, timeout=DEADLINE_SECONDS)

        async def repeat(until: float) -> int:
            calls = 0
            while time.monotonic() < until:
                await call(message, timeout=DEADLINE_SECONDS)
                calls += 1
            return calls

        started, cpu = time.monotonic(), time.process_time()
        calls = sum(await asyncio.gather(*(repeat(started + seconds) for _ in range(in_flight))))
        cpu_seconds, elapsed = time.process_time() - cpu, time.monotonic() - started

        async def timed() -> float:
            sent = time.monotonic()
            await call(message, timeout=DEADLINE_SECONDS)
            return time.monotonic() - sent

        started, tasks = time.monotonic(), []
        for number in range(int(seconds * rate)):
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
            tasks.append(asyncio.create_task(timed()))
        latencies = await asyncio.gather(*tasks)
    return Library(calls / elapsed, cpu_seconds / calls, statistics.median(latencies))
