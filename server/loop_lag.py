"""The lag of an event loop: the delay of a timer, which every call on the loop has as well."""

import asyncio
from collections.abc import Callable

MEASURED_SECONDS = 1.0
"""Time between two measurements."""


async def watch_lag(observe: Callable[[float], None], *, every_seconds: float = MEASURED_SECONDS) -> None:
    """Calls `observe` with the lag of the running loop, in seconds, until it is cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every_seconds
        await asyncio.sleep(every_seconds)
        observe(max(0.0, loop.time() - due))
