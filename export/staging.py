"""Where a bundle is written: aside first, and in its place all at once when it is whole."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from export.errors import ExportError
from server.encoding.manifest import MANIFEST_FILE

CARD_FILE = "README.md"


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Gives an empty directory to write to; when the block ends well, it takes the place of `out`.

    An older bundle at `out` is replaced; anything else there is left alone. When the block raises, nothing is left.

    Raises:
        ExportError: `out` is taken, or cannot be written.
    """
    check_out(out)
    target = out.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as temporary:
            fresh, old = Path(temporary) / "fresh", Path(temporary) / "old"
            fresh.mkdir()
            yield fresh
            if target.exists():
                target.rename(old)
            fresh.rename(target)
    except OSError as error:
        raise ExportError(f"cannot write the bundle to {out}: {error.strerror or error}") from error


def check_out(out: Path) -> None:
    """Raises ExportError if `out` holds anything but a bundle, or cannot be written."""
    target = out.resolve()
    if target == Path.cwd():
        raise ExportError(f"--out {out} is the directory you are in; name one for the bundle alone")
    if target.is_dir() and any(target.iterdir()) and not _is_only_a_bundle(target):
        raise ExportError(f"{out} exists and is not a bundle; choose another --out, or remove it yourself")
    if target.exists() and not target.is_dir():
        raise ExportError(f"{out} exists and is not a directory; choose another --out")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(tempfile.mkdtemp(dir=target.parent))
    except OSError as error:
        raise ExportError(f"cannot write the bundle to {out}: {error.strerror or error}") from error


def _is_only_a_bundle(directory: Path) -> bool:
    """Whether everything in a directory belongs to a bundle, of whatever version, whole or damaged."""
    try:
        manifest = msgspec.json.decode((directory / MANIFEST_FILE).read_bytes(), type=_AnyManifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return False
    files = {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}
    return files <= {*manifest.files, MANIFEST_FILE, CARD_FILE}


class _AnyManifest(msgspec.Struct):
    """What the manifests of all versions have in common, and other people's manifest.json have not."""

    schema_version: int
    files: dict[str, str]
