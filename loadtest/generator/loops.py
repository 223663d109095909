"""The two ways to drive a server: an open loop sends by the clock, a closed loop waits for answers."""

import asyncio
import itertools
from collections.abc import Iterator

from loadtest.clock import now_ns
from loadtest.codes import UNAVAILABLE
from loadtest.generator.sender import Sender
from loadtest.plan import Plan

BURST, DROPS = 8, 32
"""Sends in a row before the event loop writes requests and reads answers; drops that cost as much as one send."""

OVERRUN_NS = 1_000_000_000
"""Requests not sent this long after the end of the plan are dropped, so that an unreachable rate ends too."""

UNAVAILABLE_PAUSE_SECONDS = 0.01
"""Without a pause, a closed loop would spin while the server is down."""


async def open_loop(plan: Plan, sender: Sender, *, start_ns: int) -> None:
    """Sends this process's share of the schedule, each request at its time, independent of earlier answers."""
    share = -(-plan.max_in_flight // plan.processes)
    end_ns, in_a_row = start_ns + int(min(plan.seconds, 1e9) * 1e9), 0
    for number, planned_ns in _arrivals(plan, sender.worker, start_ns=start_ns):
        while (wait_ns := planned_ns - now_ns()) > 0:
            in_a_row = 0
            await asyncio.sleep(wait_ns / 1e9)
        if sender.in_flight >= share or now_ns() > end_ns + OVERRUN_NS:
            sender.drop(planned_ns)
            in_a_row += 1
        else:
            sender.start(number, planned_ns)
            in_a_row += DROPS
        if in_a_row >= BURST * DROPS:
            in_a_row = 0
            await asyncio.sleep(0)


async def closed_loop(plan: Plan, sender: Sender, *, start_ns: int) -> None:
    """Keeps this process's share of calls in flight: the next request follows each answer.

    The planned time of a request is its send time. A server that stalls therefore gets fewer requests, and the stall
    hardly shows in the percentiles: closed loops have this limitation.
    """
    numbers = itertools.count(sender.worker, plan.processes)
    end_ns = start_ns + int(min(plan.seconds, 1e9) * 1e9)
    left = share_of(plan.count, sender.worker, plan.processes) if plan.count is not None else None
    first_ns = start_ns - int(plan.warm_up_seconds * 1e9)
    await asyncio.sleep(max(0, first_ns - now_ns()) / 1e9)

    async def caller() -> None:
        nonlocal left
        while not stopped and (planned_ns := now_ns()) < end_ns and (left != 0 or planned_ns < start_ns):
            if left is not None and planned_ns >= start_ns:
                left -= 1
            if await sender.send(next(numbers), planned_ns) == UNAVAILABLE:
                await asyncio.sleep(UNAVAILABLE_PAUSE_SECONDS)

    stopped = False
    callers = [asyncio.create_task(caller()) for _ in range(share_of(plan.in_flight, sender.worker, plan.processes))]
    try:
        ended, _ = await asyncio.wait(callers, return_when=asyncio.FIRST_EXCEPTION)
        for each in ended:
            each.result()
    finally:
        stopped = True  # The code that stops this loop still collects the answers of calls in flight.


def share_of(total: int, worker: int, processes: int) -> int:
    """Returns the share of `total` for one of the processes."""
    return total // processes + (worker < total % processes)


def _arrivals(plan: Plan, worker: int, *, start_ns: int) -> Iterator[tuple[int, int]]:
    """Yields number and planned time of this process's requests.

    Every process iterates over the whole schedule: a Poisson process has no random access.
    """
    assert plan.schedule is not None, "an open loop has a schedule"
    measured = 0
    for number, seconds in enumerate(plan.schedule.times()):
        if seconds >= 0:
            if measured == plan.count or seconds >= plan.seconds:
                return
            measured += 1
        if number % plan.processes == worker:
            yield number, start_ns + int(seconds * 1e9)
