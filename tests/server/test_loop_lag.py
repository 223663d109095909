import asyncio
import time

from server.loop_lag import watch_lag
from tests.server.making import until


async def test_the_lag_is_the_time_for_which_the_loop_was_blocked() -> None:
    lags: list[float] = []
    watching = asyncio.create_task(watch_lag(lags.append, every_seconds=0.02))
    await until(lambda: lags)
    count = len(lags)
    time.sleep(0.5)
    await until(lambda: len(lags) > count)
    assert max(lags[count:]) >= 0.4
    watching.cancel()


async def test_a_free_loop_hardly_lags() -> None:
    lags: list[float] = []
    watching = asyncio.create_task(watch_lag(lags.append, every_seconds=0.01))
    await until(lambda: len(lags) >= 20)
    watching.cancel()
    assert min(lags) >= 0
    assert sorted(lags)[5] < 0.25, "most timers are on time, even on a busy machine"
