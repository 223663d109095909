"""Ends a call from outside while it waits for its next item, but never while it processes one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from server.errors import ChajaError

T = TypeVar("T")


class Interruption:
    """The interruption of one call. Used on the event loop only."""

    def __init__(self) -> None:
        self._error: ChajaError | None = None
        self._waiting: set[asyncio.Task[Any]] = set()

    def make_current(self) -> None:
        """Makes `current` return this in the running task and the tasks that it starts."""
        _current.set(self)

    @staticmethod
    def current() -> "Interruption":
        """Returns the interruption of the call that the running task belongs to."""
        return _current.get()

    def end(self, error: ChajaError) -> None:
        """Ends the call with an error when it next waits; only the first error counts."""
        if self._error is None:
            self._error = error
            for task in self._waiting:
                task.cancel()

    async def result(self, wait: Callable[[], Awaitable[T]]) -> T:
        """Returns the result of a wait; raises the error with which `end` was called."""
        self._raise_if_ended()
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        try:
            return await wait()
        except asyncio.CancelledError:
            self._raise_if_ended()
            raise  # The call was cancelled.
        finally:
            self._waiting.discard(task)

    async def next(self, items: AsyncIterator[T]) -> T | None:
        """Returns the next item, or None after the last; raises the error with which `end` was called."""
        return await self.result(lambda: anext(items, None))

    def _raise_if_ended(self) -> None:
        if self._error is not None:
            raise self._error


_current: ContextVar[Interruption] = ContextVar("current")
