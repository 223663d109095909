"""Lets a call that waits for its next step be ended from outside, but never within a step."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from server.errors import ChajaError

T = TypeVar("T")


class Interruption:
    """Belongs to one call. Used on the event loop only."""

    def __init__(self) -> None:
        self._error: asyncio.Future[ChajaError] = asyncio.get_running_loop().create_future()

    def end(self, error: ChajaError) -> None:
        """Has the call end with an error as soon as it waits; the first one counts."""
        if not self._error.done():
            self._error.set_result(error)

    async def next(self, items: AsyncIterator[T]) -> T | None:
        """Returns the next item, None behind the last.

        Raises:
            ChajaError: The call was ended meanwhile.
        """
        if self._error.done():
            raise self._error.result()
        step = asyncio.ensure_future(anext(items, None))
        either: list[asyncio.Future[Any]] = [step, self._error]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if step.done():
                return step.result()
            raise self._error.result()
        finally:
            if not step.done():
                step.cancel()
                await asyncio.wait([step])  # A generator that still runs could not be closed.
                if not step.cancelled():
                    step.exception()
