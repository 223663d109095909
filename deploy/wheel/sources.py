"""The packages of the wheels, written from the checkout's folders, and what the wheels require."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.wheel.rename import CannotRename, rename_imports


@dataclass(frozen=True)
class Wheel:
    """The files of a wheel.

    Attributes:
        folders: Folders of the checkout, by their path in the wheel.
        packages: The name of each package in the checkout and in the wheel.
        files: Single files of the checkout, by their path in the wheel.
    """

    folders: Mapping[str, str]
    packages: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)


SERVER_WHEEL = Wheel(
    folders={"server": "chaja_server", "protos/chaja": "chaja_server/_protocol", "export": "chaja_export"},
    packages={"server": "chaja_server", "export": "chaja_export", "chaja": "chaja_server._protocol"},
    files={
        "deploy/wheel/commands.py": "chaja_server/_commands.py",
        "sample/catalogue.jsonl": "chaja_export/sample/catalogue.jsonl",
        "sample/queries.jsonl": "chaja_export/sample/queries.jsonl",
    },
)

LOADTEST_WHEEL = Wheel(
    folders={"loadtest": "chaja_loadtest", "protos/chaja": "chaja_loadtest/_protocol"},
    packages={"loadtest": "chaja_loadtest", "chaja": "chaja_loadtest._protocol"},
)

OMITTED = {".pyi", ".proto", ".pyc", ".so"}
"""Suffixes of files that the programs do not need, or that the wheel's build makes itself."""


def requirements(repository: Path, *, group: str) -> list[str]:
    """Returns the requirements of the client, and those that a group of the checkout's pyproject.toml names itself."""
    checkout = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    own = [each for each in checkout["dependency-groups"][group] if isinstance(each, str)]
    return [*checkout["project"]["dependencies"], *own]


def write_packages(repository: Path, out: Path, wheel: Wheel) -> None:
    """Writes the packages of a wheel into the directory `out`. The native encoder is not among the files.

    Raises:
        CannotRename: A module has an import that cannot be renamed; the message has its path.
    """
    for source, target in _files(repository, wheel):
        copy = out / target
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".py":
            try:
                copy.write_text(rename_imports(source.read_text(encoding="utf-8"), wheel.packages), encoding="utf-8")
            except CannotRename as error:
                raise CannotRename(f"{source.relative_to(repository)}, {error}") from None
        else:
            shutil.copyfile(source, copy)


def _files(repository: Path, wheel: Wheel) -> Iterator[tuple[Path, Path]]:
    for folder, package in wheel.folders.items():
        for source in (repository / folder).rglob("*"):
            if source.is_file() and source.suffix not in OMITTED:
                yield source, Path(package) / source.relative_to(repository / folder)
    for file, target in wheel.files.items():
        yield repository / file, Path(target)
