"""The cache of converted models: `$XDG_CACHE_HOME/chaja`, or `~/.cache/chaja`.

A model is written to a temporary directory, under a lock, and renamed when it is complete and on disk. Before every use
its files are compared with their checksums; a damaged directory is removed and written again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from export.errors import ExportError
from server.files import file_digest, sync, write_synced

CHECKSUMS_FILE = "checksums.json"
UNFINISHED = ".unfinished-"


def cached_model(name: str, write: Callable[[Path], None]) -> Path:
    """Returns the directory of a name in the cache; if there is no intact one, `write` fills an empty directory.

    Processes that need the same name wait for the one that writes it.

    Raises:
        ExportError: The cache cannot be used, or `write` raised it.
    """
    cache = cache_directory()
    with _own_errors(cache):
        directory = cache / name
        if is_whole(directory):
            return directory
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / f".{name}.lock"):
            if is_whole(directory):  # Another process has written it while this one waited.
                return directory
            _remove_unfinished(cache, name)
            with tempfile.TemporaryDirectory(dir=cache, prefix=f"{UNFINISHED}{name}-") as temporary:
                fresh = Path(temporary) / "fresh"
                fresh.mkdir()
                write(fresh)
                _seal(fresh)
                if directory.exists():
                    directory.rename(Path(temporary) / "damaged")
                fresh.rename(directory)
                sync(cache)
            return directory


def cache_directory() -> Path:
    """Returns the directory of the cache, whether it exists or not.

    Raises:
        ExportError: Neither HOME nor XDG_CACHE_HOME is set.
    """
    stated = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if stated.is_absolute():  # The XDG specification requires that a relative path is ignored.
        return stated / "chaja"
    try:
        return Path.home() / ".cache" / "chaja"
    except RuntimeError:
        raise ExportError("there is no home directory to cache the model in: set HOME or XDG_CACHE_HOME") from None


def is_whole(directory: Path) -> bool:
    """Returns whether a directory has exactly the files that were written there."""
    try:
        checksums = msgspec.json.decode((directory / CHECKSUMS_FILE).read_bytes(), type=dict[str, str])
        return checksums == _checksums(directory)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return False


def _seal(directory: Path) -> None:
    """Writes the checksums of a directory's files, and flushes everything to disk."""
    for path in [*_files(directory), *(path for path in directory.rglob("*") if path.is_dir())]:
        sync(path)
    write_synced(directory / CHECKSUMS_FILE, msgspec.json.encode(_checksums(directory)))
    sync(directory)


def _checksums(directory: Path) -> dict[str, str]:
    return {path.relative_to(directory).as_posix(): file_digest(path) for path in _files(directory)}


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and path != directory / CHECKSUMS_FILE]


def _remove_unfinished(cache: Path, name: str) -> None:
    """Removes directories of killed processes; the caller holds the lock, so no process is writing there."""
    for leftover in cache.glob(f"{UNFINISHED}{name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a lock file; the system releases the lock whenever the process ends."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _own_errors(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportError(
            f"cannot keep the converted model in {cache}: {error.strerror or error}; make room for 600 MB there, or "
            "set XDG_CACHE_HOME to another directory"
        ) from error
