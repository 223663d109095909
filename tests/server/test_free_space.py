import math
import shutil
import threading
import time
from pathlib import Path

import pytest

from server import free_space
from server.free_space import KNOWN_SECONDS, FreeSpace
from tests.integration.serving import wait_until


def test_the_free_space_is_that_of_the_file_system(tmp_path: Path) -> None:
    space = FreeSpace(tmp_path)
    wait_until(lambda: not math.isnan(space.bytes()))
    total, _, free = shutil.disk_usage(tmp_path)
    assert abs(space.bytes() - free) < 0.1 * total, "other processes may write meanwhile"


def test_a_hung_disk_makes_the_free_space_unknown_and_blocks_no_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_space, "MEASURED_SECONDS", 0.0)
    answers, hangs, released = [7], threading.Event(), threading.Event()

    def measure(_: Path) -> int:
        if answers:
            return answers.pop()
        hangs.set()
        released.wait(20)
        raise OSError("the disk does not answer")

    space = FreeSpace(tmp_path, measure=measure)
    assert hangs.wait(20)
    assert space.bytes() == 7, "the last measurement still counts"
    assert math.isnan(space.bytes(now=lambda: time.monotonic() + KNOWN_SECONDS + 1))
    monkeypatch.setattr(free_space, "MEASURED_SECONDS", 60.0)
    released.set()
    wait_until(lambda: math.isnan(space.bytes()))


def test_a_missing_directory_makes_the_free_space_unknown(tmp_path: Path) -> None:
    assert math.isnan(FreeSpace(tmp_path / "missing").bytes())
