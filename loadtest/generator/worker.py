"""The worker process: `python -m loadtest.generator.worker NUMBER`, started by the coordinator.

It reads blocks (see `results.blocks`) from standard input: first the plan, and, after its report that it is ready, the
start time. The end of standard input means stop. It writes blocks to standard output.
"""

import asyncio
import contextlib
import gc
import os
import selectors
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any

from loadtest.channel import Channel
from loadtest.errors import LoadtestError
from loadtest.generator.loops import closed_loop, open_loop
from loadtest.generator.outlet import Outlet
from loadtest.generator.sender import Sender
from loadtest.generator.vitals import Vitals
from loadtest.generator.wire import decode_plan
from loadtest.plan import Plan
from loadtest.results.blocks import Block, Kind, read_blocks

GRACE_SECONDS = 1.0
"""Wait for calls in flight after a stop, and beyond their deadline."""

SWITCH_SECONDS = 0.0002
"""Longest wait of a thread for the interpreter's lock: an answer's time is taken only after it."""


def main() -> None:
    """Runs one worker."""
    worker = int(sys.argv[1])
    sys.setswitchinterval(SWITCH_SECONDS)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Output of libraries must not mix with the blocks.
    outlet = Outlet(out)
    try:
        blocks = read_blocks(sys.stdin.buffer)
        if (first := next(blocks, None)) is None:
            return  # The coordinator has exited.
        plan = decode_plan(first.payload)
        # select() waits to the microsecond, but epoll rounds up to a millisecond, which would make sends half a
        # millisecond late on average. select() supports few descriptors, but this loop has only a few.
        loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(_run(plan, worker, outlet, blocks))
    except LoadtestError as error:
        outlet.json(Kind.FAILED, {"message": str(error), "exit_code": error.exit_code})
    except Exception as error:
        message = f"generator process {worker} failed: {type(error).__name__}: {error}"
        outlet.json(Kind.FAILED, {"message": message, "exit_code": 1})
        traceback.print_exc()
    finally:
        outlet.close()


async def _run(plan: Plan, worker: int, outlet: Outlet, blocks: Iterator[Block]) -> None:
    async with contextlib.AsyncExitStack() as stack:
        addresses = range(len(plan.target.uris))
        numbers = [number for _ in range(plan.target.connections) for number in addresses]
        channels = [await stack.enter_async_context(Channel(plan.target, number)) for number in numbers]
        await asyncio.gather(*(channel.connected() for channel in channels))
        sender = Sender(plan, worker, channels, outlet)
        gc.collect()
        gc.freeze()  # Collections during the run skip the objects that exist now,
        gc.set_threshold(100_000)  # and run rarely: only failures create reference cycles.
        outlet.json(Kind.READY, {})
        start = await asyncio.to_thread(next, blocks, None)
        if start is not None:  # Otherwise it was stopped before the start.
            await _attack(plan, sender, outlet, start_ns=start.json()["start_ns"])


async def _attack(plan: Plan, sender: Sender, outlet: Outlet, *, start_ns: int) -> None:
    sender.start_ns = start_ns
    drive = closed_loop if plan.schedule is None else open_loop
    driving = asyncio.create_task(drive(plan, sender, start_ns=start_ns))
    vitals = Vitals(sender, outlet, start_ns=start_ns)
    watching = asyncio.create_task(vitals.watch())
    stopped = asyncio.Event()
    _when_input_ends(stopped)
    stopping = asyncio.create_task(stopped.wait())
    ending: set[asyncio.Future[Any]] = {driving, watching, stopping, sender.failure}
    await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
    if interrupted := not driving.done():
        driving.cancel()
    patience = GRACE_SECONDS if interrupted else plan.deadline_seconds + GRACE_SECONDS
    draining = asyncio.create_task(sender.drain(patience_seconds=patience))
    await asyncio.wait({draining, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():  # The coordinator stopped this worker during the wait for the last answers.
        draining.cancel()
        draining = asyncio.create_task(sender.drain(patience_seconds=GRACE_SECONDS))
    await draining
    unanswered = sender.give_up()
    watching.cancel()
    stopping.cancel()
    vitals.report()
    for each in (driving, watching, sender.failure):
        if each.done() and not each.cancelled():
            each.result()  # Raises the error that ended the loop early.
    outlet.json(Kind.END, {"process": sender.worker, "unanswered": unanswered})


def _when_input_ends(event: asyncio.Event) -> None:
    """Sets the event at the end of standard input: the coordinator asks for a stop, or has exited."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        sys.stdin.buffer.read()
        with contextlib.suppress(RuntimeError):  # The loop has been closed.
            loop.call_soon_threadsafe(event.set)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main()
    # A normal exit would tear down the thread that reads standard input in the middle of its read.
    sys.stdout.flush()
    os._exit(0)
