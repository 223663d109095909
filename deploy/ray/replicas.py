"""Chooses the replica of a shard that is asked: not one that has just failed or was slow, and another one next time."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from deploy.ray.spans import Reached
from server.sharding.messages import Question

AVOIDED_SECONDS = 1.0
"""Time for which others are preferred to a replica that has failed, or whose call was cancelled."""

Answers = tuple[Any, ...]

T = TypeVar("T")


class ReplicaCaller(Protocol):
    """Calls one replica of a shard."""

    async def ask(self, question: Question) -> Answers | None:
        """Returns the answers to a question; None if the replica does not have the state that it is about."""

    async def reach(self, sequence: int) -> Reached:
        """Waits a moment until the replica has read a change; returns the states that it has."""


class ShardCaller:
    """Calls the replicas of one shard. Used on the event loop."""

    def __init__(self, replicas: Sequence[ReplicaCaller]) -> None:
        self._replicas = replicas
        self._calls = [0] * len(replicas)
        self._avoided_until = [0.0] * len(replicas)
        self._turns = itertools.count()

    async def ask(self, question: Question, tried: set[int]) -> Answers | None:
        """Asks a replica that was not tried, if there is one, and adds it to those that were."""
        return await self._call(lambda replica: replica.ask(question), tried)

    async def reach(self, sequence: int, tried: set[int]) -> Reached:
        """Waits a moment until a replica has read a change; as `ask`."""
        return await self._call(lambda replica: replica.reach(sequence), tried)

    async def _call(self, call: Callable[[ReplicaCaller], Awaitable[T]], tried: set[int]) -> T:
        number = self._choose(tried)
        tried.add(number)
        self._calls[number] += 1
        try:
            return await call(self._replicas[number])
        except BaseException:  # A cancelled call was too slow, or its caller is gone.
            self._avoided_until[number] = asyncio.get_running_loop().time() + AVOIDED_SECONDS
            raise
        finally:
            self._calls[number] -= 1

    def _choose(self, tried: set[int]) -> int:
        now, turn, count = asyncio.get_running_loop().time(), next(self._turns), len(self._replicas)
        return min(
            range(count),
            key=lambda each: (
                each in tried,
                self._avoided_until[each] > now,
                self._calls[each],
                (each - turn) % count,
            ),
        )
