import pytest

from server.attributes.filter import Exists
from server.batching.job import Job
from server.encoding.kind import TextKind
from server.ranking.options import Mode, SearchOptions
from server.rpc.slowest import KEPT_SEARCHES, KEPT_SECONDS, SHOWN_CHARACTERS, SlowestSearches
from server.stages import Stopwatch


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def job(seconds: float, *, text: str = "비밀 검색", mode: Mode = Mode.HYBRID, filtered: bool = False) -> Job:
    stopwatch = Stopwatch()
    stopwatch.seconds = {"queue": seconds / 4, "encode": 3 * seconds / 4}
    options = SearchOptions(limit=10, mode=mode, filter=Exists("a") if filtered else None)
    return Job(text=text, kind=TextKind.QUERY, options=options, stopwatch=stopwatch, batch_texts=3)


async def test_the_slowest_of_the_last_15_minutes_are_kept() -> None:
    clock = Clock()
    slowest = SlowestSearches(show_texts=False, clock=clock)
    for minute in range(KEPT_SECONDS // 60):
        for number in range(30):
            slowest.add(job(0.001 * (number + 1) + minute))
        clock.now += 60
    found = [search.seconds for search in slowest.latest()]
    assert found == pytest.approx([14.03 - 0.001 * each for each in range(KEPT_SEARCHES)])
    clock.now += KEPT_SECONDS - 59
    assert slowest.latest() == []


async def test_a_search_is_described_without_its_text() -> None:
    slowest = SlowestSearches(show_texts=False)
    slowest.add(job(0.4, mode=Mode.DENSE, filtered=True))
    (search,) = slowest.latest()
    assert (search.mode, search.filtered, search.characters, search.batch_texts) == ("dense", True, 5, 3)
    assert search.stages == pytest.approx({"queue": 0.1, "encode": 0.3})
    assert search.text is None
    assert "비밀" not in repr(slowest.latest())


async def test_a_search_has_the_text_that_was_typed_not_its_interpretation() -> None:
    slowest = SlowestSearches(show_texts=True)
    slow = job(0.4, text="카드")
    slow.typed = "zkem"
    slowest.add(slow)
    assert [(search.text, search.characters) for search in slowest.latest()] == [("zkem", 4)]


async def test_texts_are_shown_if_the_operator_allows_it() -> None:
    slowest = SlowestSearches(show_texts=True)
    slowest.add(job(0.4, text="x" * 900))
    (search,) = slowest.latest()
    assert (search.text, search.characters) == ("x" * SHOWN_CHARACTERS, 900)
