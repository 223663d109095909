"""The two ways to drive a server: an open loop sends by the clock, a closed loop waits for answers."""

import asyncio
import itertools
import threading
from collections.abc import Iterator

from loadtest.clock import now_ns
from loadtest.codes import OK, UNAVAILABLE
from loadtest.generator.sender import Sender
from loadtest.plan import Plan

BURST_NS = 2_000_000
"""Time in a row for sends and drops before the threads that read answers get their turn."""

YIELD_SECONDS = 0.0001
"""A shorter pause would not do: the loop would take the interpreter's lock again before a reader woke up."""

OVERRUN_NS = 1_000_000_000
"""Requests not sent this long after the end of the plan are dropped, so that an unreachable rate ends too."""

UNAVAILABLE_PAUSE_SECONDS = 0.01
"""Without a pause, a closed loop would spin while the server is down."""


async def open_loop(plan: Plan, sender: Sender, *, start_ns: int) -> None:
    """Sends this process's share of the schedule, each request at its time, independent of earlier answers."""
    share = -(-plan.max_in_flight // plan.processes)
    end_ns, rested_ns = start_ns + int(min(plan.seconds, 1e9) * 1e9), now_ns()
    for number, planned_ns in _arrivals(plan, sender.worker, start_ns=start_ns):
        while (wait_ns := planned_ns - now_ns()) > 0:
            await asyncio.sleep(wait_ns / 1e9)
            rested_ns = now_ns()
        if sender.in_flight >= share or now_ns() > end_ns + OVERRUN_NS:
            sender.drop(planned_ns)
        else:
            sender.send(number, planned_ns)
        if now_ns() - rested_ns > BURST_NS:
            await asyncio.sleep(YIELD_SECONDS)
            rested_ns = now_ns()


async def closed_loop(plan: Plan, sender: Sender, *, start_ns: int) -> None:
    """Keeps this process's share of calls in flight: the next request follows each answer.

    The planned time of a request is its send time. A server that stalls therefore gets fewer requests, and the stall
    hardly shows in the percentiles: closed loops have this limitation.
    """
    numbers = itertools.count(sender.worker, plan.processes)
    end_ns = start_ns + int(min(plan.seconds, 1e9) * 1e9)
    left = share_of(plan.count, sender.worker, plan.processes) if plan.count is not None else None
    first_ns = start_ns - int(plan.warm_up_seconds * 1e9)
    callers = share_of(plan.in_flight, sender.worker, plan.processes)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    lock = threading.Lock()  # Answers come in the threads of the connections.
    stopped = False

    def go_on(code: int = OK) -> None:
        nonlocal left, callers
        if code == UNAVAILABLE:
            loop.call_soon_threadsafe(loop.call_later, UNAVAILABLE_PAUSE_SECONDS, go_on_later)
            return
        planned_ns = now_ns()
        with lock:
            if stopped or planned_ns >= end_ns or (left == 0 and planned_ns >= start_ns):
                callers -= 1
                if not callers:
                    loop.call_soon_threadsafe(ended.set)
                return
            if left is not None and planned_ns >= start_ns:
                left -= 1
        sender.send(next(numbers), planned_ns, go_on)

    def go_on_later() -> None:
        try:
            go_on()
        except Exception as error:
            sender.fail(error)

    await asyncio.sleep(max(0, first_ns - now_ns()) / 1e9)
    for _ in range(callers):
        go_on()
    try:
        await ended.wait()
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
