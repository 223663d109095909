import threading
import time

import pytest

from loadtest.machines import lifeline
from loadtest.machines.lifeline import Lifeline


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifeline, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(lifeline, "SILENT_SECONDS", 0.5)


def test_silence_is_noticed_once() -> None:
    beats, losses, lost = [], [], threading.Event()

    def note() -> None:
        losses.append(time.monotonic())
        lost.set()

    began = time.monotonic()
    Lifeline(note, beat=lambda: beats.append(time.monotonic()))
    assert lost.wait(20)
    assert losses[0] - began > 0.5
    assert beats
    time.sleep(0.7)
    assert len(losses) == 1


def test_signs_of_life_and_the_end_prevent_it() -> None:
    lost = threading.Event()
    line = Lifeline(lost.set)
    for _ in range(10):
        line.heard()
        time.sleep(0.1)
    line.end()
    time.sleep(0.7)
    assert not lost.is_set()
