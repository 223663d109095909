"""Writes a bundle to a temporary directory, and moves it to its place when it is complete."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from export.errors import ExportError
from server.encoding.manifest import MANIFEST_FILE

CARD_FILE = "README.md"


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Yields an empty directory to write to; when the block ends without an error, the directory becomes `out`.

    An older bundle at `out` is replaced; anything else there is left alone. If the block raises, the new bundle and
    any folder created for it are removed.

    Raises:
        ExportError: `out` is not a bundle, or cannot be written.
    """
    check_out(out)
    target = out.resolve()
    with _parents(target, out):
        with _own_errors(out):
            temporary = tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-")
        with temporary:
            fresh = Path(temporary.name) / "fresh"
            with _own_errors(out):
                fresh.mkdir()
            yield fresh
            with _own_errors(out):
                _replace(target, fresh, aside=Path(temporary.name) / "old")


@contextlib.contextmanager
def _parents(target: Path, out: Path) -> Iterator[None]:
    """Creates the folders above `target`; removes the created ones if the block raises."""
    made = [parent for parent in target.parents if not parent.exists()]
    with _own_errors(out):
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for parent in made:  # The innermost first. A folder that is not empty stays.
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def check_out(out: Path) -> None:
    """Raises ExportError if `out` holds anything but a bundle, or cannot be written."""
    with _own_errors(out):
        target = out.resolve()
        if target == Path.cwd():
            raise ExportError(f"--out {out} is the current directory; name a directory for the bundle only")
        if target.is_dir() and any(target.iterdir()) and not _is_only_a_bundle(target):
            raise ExportError(f"{out} exists and is not a bundle; choose another --out, or remove it yourself")
        if target.exists() and not target.is_dir():
            raise ExportError(f"{out} exists and is not a directory; choose another --out")
        parent = next(each for each in target.parents if each.exists())
        Path(tempfile.mkdtemp(dir=parent, prefix=f".{target.name}-")).rmdir()


def _replace(target: Path, fresh: Path, *, aside: Path) -> None:
    """Replaces `target` with `fresh`, or leaves both unchanged."""
    try:
        if target.exists():
            target.rename(aside)
        fresh.rename(target)
    except BaseException:
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise


@contextlib.contextmanager
def _own_errors(out: Path) -> Iterator[None]:
    """Turns errors of the file system into an ExportError that names `out`."""
    try:
        yield
    except OSError as error:
        raise ExportError(f"cannot write the bundle to {out}: {error.strerror or error}") from error


def _is_only_a_bundle(directory: Path) -> bool:
    """Returns whether all files in a directory belong to a bundle of any version, complete or damaged."""
    try:
        manifest = msgspec.json.decode((directory / MANIFEST_FILE).read_bytes(), type=_AnyManifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return False
    files = {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}
    return files <= {*manifest.files, MANIFEST_FILE, CARD_FILE}


class _AnyManifest(msgspec.Struct):
    """The fields that our manifests of all versions have, and that another project's manifest.json lacks."""

    schema_version: int
    files: dict[str, str]
