"""Hedged calls: if a replica is slow, another one is asked as well, and the first answer wins.

Source: Dean and Barroso, The Tail at Scale, 2013.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

KEPT_TIMES = 200
"""Answers whose times decide the delay."""

SHARE = 0.95
"""Share of the answers that come before the delay."""

LEAST_SECONDS = 0.02
"""Least delay: a second call costs as much as the first one."""

FIRST_SECONDS = 0.2
"""The delay before any answer."""


class Delay:
    """The time after which another replica is asked: the 95th percentile of the latest answers."""

    def __init__(self, seconds: float = 0.0) -> None:
        """Takes a fixed delay; 0 measures it."""
        self._fixed = seconds
        self._times: deque[float] = deque(maxlen=KEPT_TIMES)

    def add(self, seconds: float) -> None:
        """Takes the time of an answer."""
        self._times.append(seconds)

    @property
    def seconds(self) -> float:
        """The delay."""
        if self._fixed:
            return self._fixed
        if not self._times:
            return FIRST_SECONDS
        return max(LEAST_SECONDS, sorted(self._times)[int(SHARE * (len(self._times) - 1))])


async def hedged(call: Callable[[], Awaitable[T | None]], delay: Delay) -> T | None:
    """Makes a call, and a second one if the first fails, has no answer or is late; returns the first answer.

    Returns None if neither has an answer; raises the last error. The slower call is cancelled.
    """
    loop = asyncio.get_running_loop()
    running: set[asyncio.Future[T | None]] = set()
    error: Exception | None = None
    calls = 0
    try:
        while calls < 2 or running:
            if calls < 2:
                started = loop.time()
                running.add(asyncio.ensure_future(call()))
                calls += 1
            done, running = await asyncio.wait(
                running, timeout=delay.seconds if calls < 2 else None, return_when=asyncio.FIRST_COMPLETED
            )
            for each in done:
                if (error := _error_of(each)) is None and (answer := each.result()) is not None:
                    delay.add(loop.time() - started)
                    return answer
    finally:
        for each in running:
            each.cancel()
    if error is not None:
        raise error
    return None


def _error_of(done: asyncio.Future[T | None]) -> Exception | None:
    error = done.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    return error
