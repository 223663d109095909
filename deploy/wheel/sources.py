"""The packages of the wheel, written from the checkout's folders."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from deploy.wheel.rename import CannotRename, rename_imports

FOLDERS = {
    "server": "chaja_server",
    "protos/chaja": "chaja_server/_protocol",
    "export": "chaja_export",
}
"""Folders of the checkout, by their path in the wheel."""

FILES = {
    "deploy/wheel/commands.py": "chaja_server/_commands.py",
    "sample/catalogue.jsonl": "chaja_export/sample/catalogue.jsonl",
    "sample/queries.jsonl": "chaja_export/sample/queries.jsonl",
}

OMITTED = {".pyi", ".proto", ".pyc", ".so"}
"""Suffixes of files that the programs do not need, or that the wheel's build makes itself."""


def write_packages(repository: Path, out: Path) -> None:
    """Writes the packages into the directory `out`. The native encoder is not among the files.

    Raises:
        CannotRename: A module has an import that cannot be renamed; the message has its path.
    """
    for source, target in _files(repository):
        copy = out / target
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".py":
            try:
                copy.write_text(rename_imports(source.read_text(encoding="utf-8")), encoding="utf-8")
            except CannotRename as error:
                raise CannotRename(f"{source.relative_to(repository)}, {error}") from None
        else:
            shutil.copyfile(source, copy)


def _files(repository: Path) -> Iterator[tuple[Path, Path]]:
    for folder, package in FOLDERS.items():
        for source in (repository / folder).rglob("*"):
            if source.is_file() and source.suffix not in OMITTED:
                yield source, Path(package) / source.relative_to(repository / folder)
    for file, target in FILES.items():
        yield repository / file, Path(target)
