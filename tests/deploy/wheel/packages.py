"""Runs and reads the packages of a wheel, without the checkout."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def run(packages: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python where only the packages of the wheel, and the libraries, can be imported."""
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=packages, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def strings(packages: Path) -> Iterator[tuple[Path, str]]:
    """Yields each string of our modules that is not a docstring, with its path."""
    for path in packages.rglob("*.py"):
        if "_pb2" not in path.name:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                    yield path.relative_to(packages), node.value
