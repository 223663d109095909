"""The folder of a training: its checkpoints, and what they belong to."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from export.errors import ExportError
from server.files import write_synced

TRAINING_FILE = "training.json"

RESULT_FILE = "tuned.safetensors"
"""The weights at the end of the training."""

STATE_FILE = "trainer_state.json"
"""The last file that the trainer writes to a checkpoint: without it, the checkpoint is not complete."""


class TrainingFolder:
    """A folder that keeps a training until its bundle is written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, settings: Mapping[str, Any], *, resume: bool) -> None:
        """Creates the folder, or checks that it has a training with the same settings.

        Raises:
            ExportError: The folder has a training and `resume` is not set, or it has none or another one and it is.
            OSError: The folder cannot be written.
        """
        if not resume:
            if self.path.exists():
                raise ExportError(
                    f"{self.path} exists: --resume continues its training; remove it to begin again, or set "
                    "--checkpoints to another folder"
                )
            self.path.mkdir(parents=True)
            try:
                write_synced(self.path / TRAINING_FILE, json.dumps(settings, indent=1).encode())
            except BaseException:
                self.remove()  # It would be in the way of the next training.
                raise
            return
        try:
            stored = json.loads((self.path / TRAINING_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise ExportError(f"--resume: {self.path} has no training; leave --resume out to begin one") from None
        for name, value in json.loads(json.dumps(settings)).items():
            if stored.get(name) != value:
                raise ExportError(
                    f"--resume: the training in {self.path} has {name} {stored.get(name)}, not {value}; set the same, "
                    "or leave --resume out and set --checkpoints to another folder"
                )

    def part(self, name: str) -> Path:
        """Returns the subfolder of one training, which may not exist."""
        return self.path / name

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keeps the folder only if the block raises, and a training has a checkpoint or its result there.

        Raises:
            KeyboardInterrupt: As the block; its message says how to continue if the folder is kept.
        """
        try:
            yield
        except BaseException as error:
            if not any(self.path.glob(f"*/{RESULT_FILE}")) and not any(self.path.glob(f"*/checkpoint-*/{STATE_FILE}")):
                self.remove()
            elif isinstance(error, KeyboardInterrupt) and not error.args:
                raise KeyboardInterrupt(f"--resume continues the training in {self.path}") from None
            raise
        self.remove()

    def remove(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def last_checkpoint(folder: Path) -> Path | None:
    """Returns the last complete checkpoint of a training, or None."""
    complete = [path.parent for path in folder.glob(f"checkpoint-*/{STATE_FILE}") if _is_json(path)]
    return max(complete, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def digest_of(values: Any) -> str:
    """Returns a short digest of values that JSON can hold."""
    return hashlib.sha256(json.dumps(values, ensure_ascii=False).encode()).hexdigest()[:16]


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
