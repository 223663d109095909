"""Hatchling's hooks for the wheel `chaja-server`: its dependencies, its packages and the native encoder.

On x86-64 Linux the wheel contains the native encoder, compiled for CPUs with AVX-512 and VNNI; the server uses it only
on such a CPU. Other machines build a wheel without it, whose server uses ONNX Runtime. The same sources give the same
bytes.
"""

from __future__ import annotations

import platform
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from deploy.wheel.sources import SERVER_WHEEL, requirements, write_packages  # noqa: E402
from server.encoding.native.build import GLIBC, compile_library  # noqa: E402

LIBRARY = "chaja_server/encoding/native/compiled/libencoder.so"
HAS_NATIVE_ENCODER = sys.platform == "linux" and platform.machine() == "x86_64"


CHECKOUT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def group(name: str) -> list[str]:
    """Returns what a group of the checkout's pyproject.toml names itself, without the groups that it includes."""
    return [each for each in CHECKOUT["dependency-groups"][name] if isinstance(each, str)]


class Dependencies(MetadataHookInterface):
    """Takes the dependencies from the checkout's pyproject.toml."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Sets the dependencies and the extras."""
        metadata["dependencies"] = requirements(REPOSITORY, group="server")
        metadata["optional-dependencies"] = {extra: group(extra) for extra in ("export", "tune", "otel", "postgresql")}


class Packages(BuildHookInterface[Any]):
    """Writes the packages, and compiles the native encoder."""

    def dependencies(self) -> list[str]:
        """Returns what the build needs besides hatchling: the pinned compiler."""
        return group("native") if HAS_NATIVE_ENCODER else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Writes all files into a temporary directory, from which hatchling packs them."""
        if version == "editable":
            raise SystemExit("error: chaja-server cannot be editable: run python -m server in the checkout")
        self._folder = tempfile.TemporaryDirectory()
        packages = Path(self._folder.name)
        write_packages(REPOSITORY, packages, SERVER_WHEEL)
        if HAS_NATIVE_ENCODER:
            library = packages / LIBRARY
            library.parent.mkdir()
            if compile_library(library) != 0:
                raise SystemExit("error: the native encoder could not be compiled")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-manylinux_{GLIBC.replace('.', '_')}_x86_64"
        for package in sorted(packages.iterdir()):
            build_data["force_include"][str(package)] = package.name

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Deletes the temporary directory."""
        self._folder.cleanup()
