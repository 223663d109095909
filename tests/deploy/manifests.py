"""Reads the manifests of `deploy/kubernetes`."""

import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from sample.server_process import REPOSITORY

KUBERNETES = REPOSITORY / "deploy/kubernetes"
COMPONENTS = sorted((KUBERNETES / "components").iterdir())

IMAGE_SETTINGS = {
    match[1]: match[2]
    for match in re.finditer(
        r"(CHAJA_\w+)=(\S+)", (KUBERNETES.parent / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    )
}


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


@functools.cache
def rendered(*components: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Returns the resources of the base with some components, by kind and name. Skips the test without kubectl."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is missing, and no Debian package has it")
    with tempfile.TemporaryDirectory() as folder:
        base = os.path.relpath(KUBERNETES, Path(folder).resolve())
        lines = ["namespace: search", f"resources: [{base}]"]
        lines += ["components:", *(f"  - {base}/components/{each}" for each in components)] if components else []
        (Path(folder) / "kustomization.yaml").write_text("\n".join(lines), encoding="utf-8")
        run = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(run.stdout)}


def environment_of(container: dict[str, Any], resources: dict[tuple[str, str], dict[str, Any]]) -> dict[str, str]:
    """Returns the settings of a rendered container: the image's, overridden by those of its ConfigMap."""
    (settings,) = [each["configMapRef"]["name"] for each in container["envFrom"]]
    data: dict[str, str] = resources["ConfigMap", settings]["data"]
    return IMAGE_SETTINGS | data
