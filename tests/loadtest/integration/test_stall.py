"""A server that stalls for a second: an open loop shows it, a closed loop does not."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from loadtest.analysis.summary import summarize
from loadtest.schedule import constant
from tests.loadtest.integration.attacks import make_plan, run_attack
from tests.loadtest.pretend_server import pretend_server

pytestmark = pytest.mark.alone

SECONDS, RATE = 6, 500


def test_an_open_loop_shows_a_stall_that_a_closed_loop_hides(tmp_path: Path) -> None:
    with pretend_server(stall=1, stall_after=3) as address:
        plan = make_plan(address, schedule=constant(RATE, seconds=SECONDS), seconds=SECONDS)
        run_attack(tmp_path / "open.bin", plan)
    with pretend_server(stall=1, stall_after=3) as address:
        run_attack(tmp_path / "closed.bin", make_plan(address, in_flight=10, seconds=SECONDS))
    opened, closed = (summarize([tmp_path / f"{loop}.bin"]).total.ok for loop in ("open", "closed"))
    print(f"p99: open {opened.latency.percentile(99):.3f} s, closed {closed.latency.percentile(99):.3f} s")
    assert opened.count == SECONDS * RATE
    assert opened.latency.percentile(99) >= 0.750
    assert closed.latency.percentile(99) < 0.100
    assert closed.latency.percentile(100) > 0.9  # The stall happened: ten calls waited for it.


def test_a_stall_is_measured_within_a_twentieth_of_an_independent_client(tmp_path: Path) -> None:
    seconds, rate, out = 10, 50, tmp_path / "results.bin"
    with pretend_server(stall=2, stall_after=4) as address, ThreadPoolExecutor() as pool:
        plan = make_plan(address, schedule=constant(rate, seconds=seconds), seconds=seconds)
        independent = pool.submit(asyncio.run, latencies(address, rate=rate, seconds=seconds))
        run_attack(out, plan)
        true = independent.result()
    latency = summarize([out]).total.ok.latency
    for percent in (85, 90, 95, 99):  # A fifth of the requests fall into the stall, and wait for what is left of it.
        both = latency.percentile(percent), float(np.percentile(true, percent))
        print(f"p{percent}: {both[0]:.3f} s, in truth {both[1]:.3f} s")
        assert both[0] == pytest.approx(both[1], rel=0.05)
    assert latency.mean == pytest.approx(np.mean(true), rel=0.05)


async def latencies(address: str, *, rate: int, seconds: int) -> list[float]:
    """Calls a server at a rate with grpc.aio; returns the seconds from each planned time to the answer."""
    loop = asyncio.get_running_loop()
    found: list[float] = []
    async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as calls:
        call: Any = channel.unary_unary("/test.Test/Any")
        start = loop.time()

        async def one(planned: float) -> None:
            await call(b"")
            found.append(loop.time() - planned)

        for number in range(rate * seconds):
            planned = start + number / rate
            await asyncio.sleep(planned - loop.time())
            calls.create_task(one(planned))
    return found
