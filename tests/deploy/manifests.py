"""Reads the manifests of `deploy/kubernetes`."""

from pathlib import Path
from typing import Any

import yaml

from sample.server_process import REPOSITORY

KUBERNETES = REPOSITORY / "deploy/kubernetes"
COMPONENTS = sorted((KUBERNETES / "components").iterdir())


def documents_of(path: Path) -> list[Any]:
    """Returns the documents of a YAML file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def resources_of(folder: Path) -> list[dict[str, Any]]:
    """Returns the resources that the kustomization in a folder lists."""
    (kustomization,) = documents_of(folder / "kustomization.yaml")
    return [each for name in kustomization.get("resources", []) for each in documents_of(folder / name)]


def resource(kind: str, name: str) -> dict[str, Any]:
    """Returns a resource of the base."""
    (found,) = [each for each in resources_of(KUBERNETES) if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found
