import threading
from types import SimpleNamespace

import pytest

from loadtest.machines import lifeline
from loadtest.machines.lifeline import Lifeline
from loadtest.machines.messages import SILENT_SECONDS


class Watched:
    """A lifeline with a clock that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        self.losses: list[float] = []
        self.beats = threading.Semaphore(0)
        monkeypatch.setattr(lifeline, "BEAT_SECONDS", 0.01)
        monkeypatch.setattr(lifeline, "time", SimpleNamespace(monotonic=lambda: self.seconds))
        others = set(threading.enumerate())
        self.line = Lifeline(lambda: self.losses.append(self.seconds), beat=self.beats.release)
        [self.thread] = set(threading.enumerate()) - others

    def wait(self, beats: int) -> None:
        for _ in range(beats):
            assert self.beats.acquire(timeout=20)


def test_silence_is_noticed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.seconds = SILENT_SECONDS - 0.1
    watched.wait(2)
    assert watched.losses == []
    watched.seconds = SILENT_SECONDS + 0.1
    watched.thread.join(20)
    assert watched.losses == [SILENT_SECONDS + 0.1]
    assert not watched.thread.is_alive()


def test_signs_of_life_and_the_end_prevent_it(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    for _ in range(5):
        watched.line.heard()
        watched.seconds += SILENT_SECONDS - 0.1
        watched.wait(2)
    watched.line.end()
    watched.thread.join(20)
    assert not watched.thread.is_alive()
    assert watched.losses == []
