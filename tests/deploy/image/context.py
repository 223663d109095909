"""The build context of an image: the files of the checkout that .dockerignore lets through."""

from __future__ import annotations

import re
import shutil
from pathlib import Path


class Context:
    """The files that a build may copy, by the rules of .dockerignore: the last pattern that matches a path decides."""

    def __init__(self, root: Path) -> None:
        lines = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
        patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        self._rules = [(_expression(pattern.removeprefix("!")), pattern.startswith("!")) for pattern in patterns]
        self._root = root

    def includes(self, path: Path) -> bool:
        """Returns whether a path, relative to the root, is in the context."""
        text = path.as_posix()
        return [included for matches, included in self._rules if matches.match(text)][-1:] != [False]

    def copy(self, source: str, destination: Path) -> int:
        """Copies a file, or the content of a folder, as COPY does; returns the number of files."""
        origin = self._root / source
        files = [origin] if origin.is_file() else [path for path in origin.rglob("*") if path.is_file()]
        copied = 0
        for path in files:
            if not self.includes(path.relative_to(self._root)):
                continue
            target = destination / (path.name if origin.is_file() else path.relative_to(origin))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)
            copied += 1
        return copied


def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern matches a path and all below it; `**` stands for any number of folders."""
    parts = re.split(r"(\*\*/|\*)", pattern)
    text = "".join({"**/": r"(?:.*/)?", "*": r"[^/]*"}.get(part, re.escape(part)) for part in parts)
    return re.compile(rf"{text}(?:/.*)?$")
