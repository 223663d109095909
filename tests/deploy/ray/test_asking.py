import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from deploy.ray.asking import Asker
from deploy.ray.replicas import Answers, ShardCaller
from deploy.ray.spans import Reached, Span
from server.errors import ShardUnavailable
from server.ranking.served import Counts
from server.sharding.messages import Question
from server.sharding.shard import StateGone

QUESTION = Question(7, None, ())
REACHED = Reached([Span(7, 7, 7)], Counts(1, 1, has_graph=False))


class FakeShard:
    """Gives its name as the answer to every question. Without a name it has not the state; it may also fail or hang."""

    def __init__(self, name: str = "", *, error: Exception | None = None, hangs: bool = False) -> None:
        self._name, self._error, self._hangs = name, error, hangs
        self.asked = 0

    async def ask(self, question: Question) -> Answers | None:
        self.asked += 1
        await self._wait()
        return (self._name,) if self._name else None

    async def reach(self, sequence: int) -> Reached:
        await self._wait()
        return REACHED

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        if self._hangs:
            await asyncio.sleep(60)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def asker(loop: asyncio.AbstractEventLoop, *shards: FakeShard) -> Asker:
    return Asker([ShardCaller([shard]) for shard in shards], loop, hedge_seconds=0.05, most_seconds=0.2)


Broken = Callable[[], FakeShard]

BROKEN: list[Broken] = [lambda: FakeShard(error=OSError("it died")), lambda: FakeShard(hangs=True)]


def test_all_shards_answer_in_their_order(loop: asyncio.AbstractEventLoop) -> None:
    assert asker(loop, FakeShard("a"), FakeShard("b")).ask(QUESTION) == [("a",), ("b",)]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_shard_that_does_not_answer_is_an_error_or_missing(loop: asyncio.AbstractEventLoop, broken: Broken) -> None:
    silent = broken()
    shards = asker(loop, FakeShard("a"), silent, FakeShard("c"))
    with pytest.raises(ShardUnavailable, match="shard 1 of 3 does not answer"):
        shards.ask(QUESTION)
    assert silent.asked == 2, "a second replica is asked, too"
    missing: set[int] = set()
    for _ in range(2):
        assert shards.ask_some(QUESTION, missing) == [("a",), ("c",)]
        assert missing == {1}
    assert silent.asked == 4, "a partial search asks it no more"
    assert len(shards.reach(7)) == 2


@pytest.mark.parametrize("broken", BROKEN)
def test_an_answer_of_no_shard_is_not_partial_but_an_error(loop: asyncio.AbstractEventLoop, broken: Broken) -> None:
    with pytest.raises(ShardUnavailable):
        asker(loop, broken(), broken()).ask_some(QUESTION, set())
    assert asker(loop, broken()).reach(7) == []


def test_a_shard_without_the_state_is_no_missing_shard(loop: asyncio.AbstractEventLoop) -> None:
    missing: set[int] = set()
    with pytest.raises(StateGone, match="shard 1 does not have the documents of sequence 7"):
        asker(loop, FakeShard("a"), FakeShard()).ask_some(QUESTION, missing)
    assert not missing


def test_a_second_call_goes_to_another_replica_and_the_next_searches_avoid_a_slow_one(
    loop: asyncio.AbstractEventLoop,
) -> None:
    for broken in BROKEN:
        slow, good = broken(), FakeShard("good")
        shards = Asker([ShardCaller([slow, good])], loop, hedge_seconds=0.05, most_seconds=20)
        for _ in range(20):
            assert shards.ask(QUESTION) == [("good",)]
        assert (slow.asked, good.asked) == (1, 20)


def test_replicas_take_turns(loop: asyncio.AbstractEventLoop) -> None:
    replicas = [FakeShard(name) for name in "abc"]
    shards = Asker([ShardCaller(replicas)], loop, hedge_seconds=0.05, most_seconds=20)
    for _ in range(30):
        shards.ask(QUESTION)
    assert [replica.asked for replica in replicas] == [10, 10, 10]
