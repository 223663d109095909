import asyncio
import time

import pytest

from deploy.ray.hedging import FIRST_SECONDS, LEAST_SECONDS, Delay, hedged

SLOW = 60.0


class Replicas:
    """Replicas of one shard: each call goes to the next one, which waits, then answers or fails."""

    def __init__(self, *outcomes: tuple[float, str | Exception | None]) -> None:
        self._outcomes = list(outcomes)
        self.calls = 0
        self.cancelled = 0

    async def __call__(self) -> str | None:
        seconds, outcome = self._outcomes[self.calls]
        self.calls += 1
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def test_a_fast_answer_needs_no_second_call() -> None:
    replicas = Replicas((0, "first"))
    assert await hedged(replicas, Delay(SLOW)) == "first"
    assert (replicas.calls, replicas.cancelled) == (1, 0)


async def test_after_the_delay_a_second_call_is_made_and_the_slower_one_cancelled() -> None:
    replicas = Replicas((SLOW, "first"), (0, "second"))
    assert await hedged(replicas, Delay(0.01)) == "second"
    await asyncio.sleep(0)
    assert (replicas.calls, replicas.cancelled) == (2, 1)


async def test_the_first_answer_wins_although_it_is_late() -> None:
    replicas = Replicas((0.05, "first"), (SLOW, "second"))
    assert await hedged(replicas, Delay(0.01)) == "first"
    await asyncio.sleep(0)
    assert (replicas.calls, replicas.cancelled) == (2, 1)


@pytest.mark.parametrize("outcome", [None, OSError("it died")])
async def test_a_replica_without_an_answer_is_replaced_at_once(outcome: Exception | None) -> None:
    started = time.monotonic()
    assert await hedged(Replicas((0, outcome), (0, "second")), Delay(SLOW)) == "second"
    assert time.monotonic() - started < SLOW


async def test_without_any_answer_the_last_error_counts() -> None:
    assert await hedged(Replicas((0, None), (0, None)), Delay(SLOW)) is None
    with pytest.raises(OSError, match="both"):
        await hedged(Replicas((0, None), (0, OSError("both"))), Delay(SLOW))


async def test_a_cancelled_caller_cancels_its_calls() -> None:
    replicas = Replicas((SLOW, "first"), (SLOW, "second"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await hedged(replicas, Delay(0.01))
    await asyncio.sleep(0)
    assert (replicas.calls, replicas.cancelled) == (2, 2)


def test_the_delay_is_the_95th_percentile_of_the_answers_unless_it_is_fixed() -> None:
    delay = Delay()
    assert delay.seconds == FIRST_SECONDS
    for number in range(1, 101):
        delay.add(number / 100)
    assert delay.seconds == pytest.approx(0.95)
    for _ in range(1000):
        delay.add(0.001)
    assert delay.seconds == LEAST_SECONDS
    assert Delay(0.3).seconds == 0.3
