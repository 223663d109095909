"""The files of a model, in a directory or on the hub.

Reading a file also rejects Git LFS pointers, and JSON that is damaged.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from export.errors import ExportError, library_errors
from server.errors import first_line

DECISIVE = ("modules.json", "config_sentence_transformers.json")
"""Optional files without which a model would be opened with another pooling, or without its prompts."""

LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class ModelFiles:
    """Finds the files of a model by their path in its directory or repository.

    Attributes:
        place: The directory or the hub id.
        directory: The directory, or None for a model of the hub.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.directory = Path(place) if Path(place).is_dir() else None
        self._unreachable: Exception | None = None

    @property
    def opening_failure(self) -> str:
        """The beginning of the message for a model that cannot be opened."""
        hint = "" if self.directory else ", which is not a local directory and could not be loaded from the hub"
        return f"cannot open the model {self.place}{hint}"

    def find(self, name: str) -> Path | None:
        """Returns the local path of a file, which the hub sends first if necessary; None if the model has no such file.

        Raises:
            ExportError: The file is a Git LFS pointer, or the hub refuses access.
        """
        path = self._in_repository(name) if self.directory is None else self.directory / name
        if path is None or not path.is_file():
            return None
        refuse_pointer(path)
        return path

    def settings(self, name: str) -> dict[str, Any] | None:
        """Returns the content of a JSON file that holds an object, or None if the model has no such file.

        Raises:
            ExportError: The file is damaged, holds something else, or as for `find`.
        """
        content = self._json(name)
        if content is not None and not isinstance(content, dict):
            raise ExportError(f"{self._label(name)} is damaged: it holds no JSON object")
        return content

    def modules(self) -> list[dict[str, str]] | None:
        """Returns the modules of a sentence-transformers model, or None for a plain transformers model.

        Raises:
            ExportError: modules.json is damaged, or as for `find`.
        """
        content = self._json("modules.json")
        if content is None:
            return None
        if not isinstance(content, list) or not all(
            isinstance(each, dict) and all(isinstance(each.get(key), str) for key in ("name", "path", "type"))
            for each in content
        ):
            raise ExportError(
                f"{self._label('modules.json')} is damaged: it must be a list of modules with name, path and type"
            )
        return content

    def require_hub(self) -> None:
        """Raises ExportError if the hub could not be reached for any file so far."""
        if self._unreachable is not None:
            raise ExportError(f"{self.opening_failure}: {first_line(self._unreachable)}") from self._unreachable

    def _json(self, name: str) -> Any | None:
        path = self.find(name)
        if path is None:
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:  # Wrong UTF-8 is a ValueError, too.
            raise ExportError(f"{self._label(name)} cannot be read as JSON: {first_line(error)}") from None

    def _refuse_unknown(self, name: str) -> None:
        raise ExportError(
            f"{self.opening_failure}: the cache has no {name}, and the hub cannot be asked whether the model has it: "
            "connect to the hub, or give the directory of a complete download"
        ) from self._unreachable

    def _label(self, name: str) -> str:
        return f"{self.place}/{name}"

    def _in_repository(self, name: str) -> Path | None:
        from huggingface_hub import _CACHED_NO_EXIST, hf_hub_download, try_to_load_from_cache
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        with library_errors(self.opening_failure):
            try:
                # After one failure to reach the hub, further ones would only repeat the wait.
                offline = self._unreachable is not None
                return Path(hf_hub_download(self.place, name, local_files_only=offline))
            except LocalEntryNotFoundError as error:  # Neither in the cache nor could the hub be asked.
                self._unreachable = self._unreachable or error
                if name in DECISIVE and try_to_load_from_cache(self.place, name) is not _CACHED_NO_EXIST:
                    self._refuse_unknown(name)
                return None
            except EntryNotFoundError:
                return None


def refuse_pointer(path: Path) -> None:
    """Raises ExportError if a file is a Git LFS pointer."""
    with path.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ExportError(f"{path} is a Git LFS pointer, not the file itself: run git lfs pull in its directory")
