import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from export.errors import ExportError
from export.packaged.cache import cache_directory, cached_model, is_whole
from sample.server_process import REPOSITORY

WRITER = """
import sys, time
from pathlib import Path
from export.packaged.cache import cached_model

def write(directory):
    with open(sys.argv[1], "a") as log:
        log.write("begin ")
    (directory / "weights").write_text("half")
    time.sleep(float(sys.argv[2]))
    (directory / "weights").write_text("whole")

print((cached_model("model", write) / "weights").read_text())
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "chaja"


def write_model(directory: Path) -> None:
    (directory / "sub").mkdir()
    (directory / "sub" / "weights").write_text("whole")


def refuse_to_write(directory: Path) -> None:
    raise AssertionError(f"{directory} is written a second time")


def start_writer(log: Path, *, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(log), str(seconds)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_model_is_written_once(cache: Path) -> None:
    directory = cached_model("model", write_model)
    assert directory == cache / "model"
    assert cached_model("model", refuse_to_write) == directory
    assert (directory / "sub" / "weights").read_text() == "whole"


@pytest.mark.parametrize("damage", ["changed", "missing", "added", "unsealed"])
def test_a_damaged_model_is_written_again(cache: Path, damage: str) -> None:
    directory = cached_model("model", write_model)
    if damage == "changed":
        (directory / "sub" / "weights").write_text("wrong")  # As long as "whole".
    elif damage == "missing":
        (directory / "sub" / "weights").unlink()
    elif damage == "added":
        (directory / "more").write_text("")
    else:
        (directory / "checksums.json").write_text("{")
    assert not is_whole(directory)
    cached_model("model", write_model)
    assert is_whole(directory)
    assert (directory / "sub" / "weights").read_text() == "whole"
    assert sorted(path.name for path in cache.iterdir()) == [".model.lock", "model"]


def test_a_failure_leaves_nothing_that_could_be_used(cache: Path) -> None:
    def fill_the_disk(directory: Path) -> None:
        (directory / "weights").write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(ExportError, match=r"No space left on device; make room for 600 MB there, or set XDG_CACHE"):
        cached_model("model", fill_the_disk)
    assert [path.name for path in cache.iterdir()] == [".model.lock"]


def test_two_processes_write_a_model_only_once(cache: Path, tmp_path: Path) -> None:
    with start_writer(tmp_path / "log", seconds=0.5) as first, start_writer(tmp_path / "log", seconds=0.5) as second:
        assert [first.communicate(timeout=30)[0], second.communicate(timeout=30)[0]] == ["whole\n", "whole\n"]
    assert (tmp_path / "log").read_text() == "begin "


def test_the_remains_of_a_killed_process_are_removed(cache: Path, tmp_path: Path) -> None:
    with start_writer(tmp_path / "log", seconds=60) as process:
        wait_for(tmp_path / "log")
        process.send_signal(signal.SIGKILL)
    assert any(path.name.startswith(".unfinished-") for path in cache.iterdir())
    directory = cached_model("model", write_model)
    assert (directory / "sub" / "weights").read_text() == "whole"
    assert sorted(path.name for path in cache.iterdir()) == [".model.lock", "model"]


def test_an_unwritable_cache_gives_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ExportError, match=r"cannot keep the converted model in .*/file/chaja: Not a directory"):
        cached_model("model", write_model)


def test_the_environment_sets_the_folder_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_directory() == Path("/home/me/.cache/chaja")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory() == Path("/home/me/.cache/chaja")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert cache_directory() == Path("/var/cache/chaja")


def test_the_error_without_a_home_names_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ExportError, match="set HOME or XDG_CACHE_HOME"):
        cache_directory()
