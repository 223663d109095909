"""Asks all shards at once, and says which do not answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from deploy.ray.hedging import Delay, hedged
from deploy.ray.replicas import Answers, ShardCaller
from deploy.ray.spans import Reached
from server.errors import ShardUnavailable
from server.logs.rate import Rate
from server.sharding.messages import Question
from server.sharding.shard import StateGone

log = logging.getLogger(__name__)

REACH_SECONDS = 0.1
"""Time after which a second replica is asked whether it has read a change."""

T = TypeVar("T")


class Asker:
    """Asks shards. Its methods block: any thread but that of the event loop may use them."""

    def __init__(
        self,
        shards: Sequence[ShardCaller],
        loop: asyncio.AbstractEventLoop,
        *,
        hedge_seconds: float,
        most_seconds: float,
    ) -> None:
        """Waits for a shard for `most_seconds`, and asks a second replica after `hedge_seconds`; 0 measures them."""
        self._shards = shards
        self._loop = loop
        self._most_seconds = most_seconds
        self._delays = [Delay(hedge_seconds) for _ in shards]
        self._reach_delay = Delay(REACH_SECONDS)
        self._failures = Rate(lines=1, seconds=10)

    @property
    def count(self) -> int:
        """The number of shards."""
        return len(self._shards)

    def ask(self, question: Question) -> list[Answers]:
        """Returns the answers of all shards, in their order; raises ShardUnavailable or StateGone."""
        return self.ask_some(question, None)

    def ask_some(self, question: Question, missing: set[int] | None) -> list[Answers]:
        """Returns the answers of all shards but the missing ones, to which it adds those that do not answer.

        If `missing` is None, all must answer. Raises ShardUnavailable, also if no shard is left, or StateGone.
        """

        async def ask(number: int) -> Answers:
            tried: set[int] = set()
            answer = await hedged(lambda: self._shards[number].ask(question, tried), self._delays[number])
            if answer is None:
                raise StateGone(f"shard {number} does not have the documents of sequence {question.sequence}")
            return answer

        numbers = [number for number in range(self.count) if number not in (missing or ())]
        answers = self._gather(ask, numbers)
        silent = [number for number in numbers if number not in answers]
        if missing is not None:
            missing.update(silent)
        if not answers or (silent and missing is None):
            name = f"shard {silent[0]}" if silent else "any shard"
            raise ShardUnavailable(f"{name} of {self.count} does not answer; try again in a moment")
        return [answers[number] for number in numbers if number in answers]

    def reach(self, sequence: int) -> list[Reached]:
        """Waits a moment until the shards have read a change; returns the states of those that answer."""

        async def reach(number: int) -> Reached | None:
            tried: set[int] = set()
            return await hedged(lambda: self._shards[number].reach(sequence, tried), self._reach_delay)

        return [each for each in self._gather(reach, range(self.count)).values() if each is not None]

    def _gather(self, call: Callable[[int], Awaitable[T]], numbers: Iterable[int]) -> dict[int, T]:
        """Returns the answer of each shard that answers; raises StateGone."""

        async def timed(number: int) -> T:
            async with asyncio.timeout(self._most_seconds):
                return await call(number)

        async def gathered() -> dict[int, T | BaseException]:
            answers = await asyncio.gather(*map(timed, numbers), return_exceptions=True)
            return dict(zip(numbers, answers, strict=True))

        answers: dict[int, T] = {}
        for number, answer in asyncio.run_coroutine_threadsafe(gathered(), self._loop).result().items():
            if isinstance(answer, StateGone) or (
                isinstance(answer, BaseException) and not isinstance(answer, Exception)
            ):
                raise answer
            if not isinstance(answer, BaseException):
                answers[number] = answer
            elif self._failures.allow() is not None:
                log.error("shard %d does not answer: %s", number, str(answer) or type(answer).__name__)
        return answers
