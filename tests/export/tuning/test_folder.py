import os
from pathlib import Path

import pytest

from export.errors import ExportError
from export.tuning.folder import RESULT_FILE, STATE_FILE, TrainingFolder, last_checkpoint

SETTINGS = {"--batch": 32, "labels": "abc"}


def test_a_training_is_not_begun_over_another_one(tmp_path: Path) -> None:
    TrainingFolder(tmp_path / "t").begin(SETTINGS, resume=False)
    with pytest.raises(ExportError, match=r"exists: --resume continues its training; remove it to begin again"):
        TrainingFolder(tmp_path / "t").begin(SETTINGS, resume=False)


def test_a_training_continues_with_the_same_settings_only(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path / "t")
    with pytest.raises(ExportError, match="has no training"):
        folder.begin(SETTINGS, resume=True)
    folder.begin(SETTINGS, resume=False)
    folder.begin(SETTINGS, resume=True)
    with pytest.raises(ExportError, match=r"has --batch 32, not 16"):
        folder.begin(SETTINGS | {"--batch": 16}, resume=True)


def test_a_full_disk_leaves_no_folder_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    folder = TrainingFolder(tmp_path / "t")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            folder.begin(SETTINGS, resume=False)
    folder.begin(SETTINGS, resume=False)


def test_an_unfinished_checkpoint_is_passed_over(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    for step, state in ((9, "{}"), (10, "{}"), (11, '{"glob'), (12, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{step}" / STATE_FILE).write_text(state)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"


def test_a_folder_without_a_checkpoint_is_not_kept(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path / "t")
    folder.begin(SETTINGS, resume=False)
    with pytest.raises(KeyboardInterrupt, match=r"^$"), folder.kept():
        raise KeyboardInterrupt
    assert not folder.path.exists()


@pytest.mark.parametrize("file", [RESULT_FILE, f"checkpoint-3/{STATE_FILE}"])
def test_a_folder_with_a_checkpoint_is_kept_until_the_end(tmp_path: Path, file: str) -> None:
    folder = TrainingFolder(tmp_path / "t")
    folder.begin(SETTINGS, resume=False)
    place = folder.part("40") / file
    place.parent.mkdir(parents=True)
    place.write_text("{}")
    with pytest.raises(KeyboardInterrupt, match=r"^--resume continues the training in .*t$"), folder.kept():
        raise KeyboardInterrupt
    with pytest.raises(ExportError, match="full"), folder.kept():
        raise ExportError("the disk is full")
    assert place.exists()
    with folder.kept():
        pass
    assert not folder.path.exists()
