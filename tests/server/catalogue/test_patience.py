import threading
import time
from collections.abc import Callable

import pytest

from server.catalogue import patience
from server.catalogue.patience import Patience
from server.errors import ChangesLost, StoreUnavailable

LONG = 60.0


def away_for(
    attempts: float, error: type[StoreUnavailable] = StoreUnavailable
) -> tuple[Callable[[], str], list[float]]:
    """Returns a read that fails at its first attempts, and the times of its attempts."""
    times: list[float] = []

    def read() -> str:
        times.append(time.monotonic())
        if len(times) <= attempts:
            raise error("away")
        return "found"

    return read, times


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.001)


def test_a_read_waits_until_the_database_is_back() -> None:
    read, times = away_for(3)
    assert Patience().read(read) == "found"
    assert len(times) == 4


def test_reads_wait_for_a_bounded_time_and_then_fail_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(patience, "TRY_SECONDS", LONG)
    waiting = Patience()
    read, times = away_for(float("inf"))
    with pytest.raises(StoreUnavailable, match="away"):
        waiting.read(read)
    assert len(times) > 1
    again, attempts = away_for(float("inf"))
    with pytest.raises(StoreUnavailable, match="away"):
        waiting.read(again)
    assert not attempts, "another read has just tried"


def test_in_a_long_outage_a_read_tries_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(patience, "TRY_SECONDS", 0.0)
    waiting = Patience()
    for _ in range(3):
        read, times = away_for(float("inf"))
        with pytest.raises(StoreUnavailable):
            waiting.read(read)
        assert len(times) == 1
    assert waiting.read(lambda: "back") == "back"
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", LONG)
    assert waiting.read(away_for(2)[0]) == "found", "the next outage is another one"


def test_lost_changes_are_not_waited_for() -> None:
    read, times = away_for(1, ChangesLost)
    with pytest.raises(ChangesLost):
        Patience().read(read)
    assert len(times) == 1


def test_a_store_that_closes_ends_the_waiting() -> None:
    waiting = Patience()
    read, times = away_for(float("inf"))
    closing = threading.Timer(0.05, waiting.close)
    closing.start()
    with pytest.raises(StoreUnavailable):
        waiting.read(read)
    closing.join()
    assert len(times) > 1
