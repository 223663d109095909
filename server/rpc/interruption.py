"""Ends a call from outside while it waits for its next item, but never while it processes one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from server.errors import ChajaError

T = TypeVar("T")


class Interruption:
    """The interruption of one call. Used on the event loop only."""

    def __init__(self) -> None:
        self._error: asyncio.Future[ChajaError] = asyncio.get_running_loop().create_future()

    def end(self, error: ChajaError) -> None:
        """Ends the call with an error when it next waits; only the first error counts."""
        if not self._error.done():
            self._error.set_result(error)

    async def next(self, items: AsyncIterator[T]) -> T | None:
        """Returns the next item, or None after the last; raises the error with which `end` was called."""
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
                await asyncio.wait([step])  # A running generator cannot be closed.
                if not step.cancelled():
                    step.exception()
