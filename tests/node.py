"""Runs scripts in Node, with grpc-js beside them."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sample.server_process import REPOSITORY

NODE = REPOSITORY / "build/node"
PROTOS = REPOSITORY / "protos"


def run_node(script: Path, folder: Path, *arguments: str) -> Any:
    """Runs a copy of a script in a folder; returns the JSON that it prints. Skips the test if Node is missing."""
    if not (NODE / "node").exists():
        assert "CI" not in os.environ, "make node installs grpc-js"
        pytest.skip("grpc-js is missing: make node")
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    command = [str(NODE / "node"), shutil.copy(script, folder), *arguments]
    environment = {**os.environ, "CHAJA_PROTOS": str(PROTOS)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
