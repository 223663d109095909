import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest

from server.errors import ImportTakenOver, NotReady
from server.rpc.interruption import Interruption


class Items:
    """Yields two items, and then waits forever."""

    def __init__(self) -> None:
        self.closed = False

    async def all(self) -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
            await asyncio.sleep(60)
        finally:
            self.closed = True


async def test_a_waiting_call_is_ended_by_the_first_error_and_its_items_can_be_closed() -> None:
    interruption, items = Interruption(), Items()
    async with contextlib.aclosing(items.all()) as generator:
        assert [await interruption.next(generator) for _ in range(2)] == [1, 2]
        waiting = asyncio.create_task(interruption.next(generator))
        await asyncio.sleep(0.01)
        interruption.end(ImportTakenOver())
        interruption.end(NotReady("leaving"))
        with pytest.raises(ImportTakenOver):
            await waiting
        assert items.closed
        with pytest.raises(ImportTakenOver):
            await interruption.next(generator)


async def test_a_cancelled_call_leaves_no_task() -> None:
    interruption, items = Interruption(), Items()
    generator = items.all()
    assert [await interruption.next(generator) for _ in range(2)] == [1, 2]
    waiting = asyncio.create_task(interruption.next(generator))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert items.closed
    assert asyncio.all_tasks() == {asyncio.current_task()}
