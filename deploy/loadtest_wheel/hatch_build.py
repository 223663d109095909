"""Hatchling's hooks for the wheel `chaja-loadtest`: its dependencies and its packages."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from deploy.wheel.sources import LOADTEST_WHEEL, requirements, write_packages  # noqa: E402


class Dependencies(MetadataHookInterface):
    """Takes the dependencies from the checkout's pyproject.toml."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Sets the dependencies."""
        metadata["dependencies"] = requirements(REPOSITORY, group="loadtest")


class Packages(BuildHookInterface[Any]):
    """Writes the packages."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Writes all files into a temporary directory, from which hatchling packs them."""
        if version == "editable":
            raise SystemExit("error: chaja-loadtest cannot be editable: run python -m loadtest in the checkout")
        self._folder = tempfile.TemporaryDirectory()
        packages = Path(self._folder.name)
        write_packages(REPOSITORY, packages, LOADTEST_WHEEL)
        for package in sorted(packages.iterdir()):
            build_data["force_include"][str(package)] = package.name

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Deletes the temporary directory."""
        self._folder.cleanup()
