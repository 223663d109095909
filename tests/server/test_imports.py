from __future__ import annotations

import subprocess
import sys

from sample.server_process import REPOSITORY

REFUSING = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "optimum", "sentence_transformers", "onnx"):
            raise ImportError(f"the server imports {name}")

sys.meta_path.insert(0, Refuse())
import pkgutil, importlib, server
for module in pkgutil.walk_packages(server.__path__, "server."):
    importlib.import_module(module.name)
try:
    import torch
except ImportError:
    print("imported everything but torch")
"""


def test_the_server_imports_where_torch_and_transformers_cannot() -> None:
    run = subprocess.run(
        [sys.executable, "-c", REFUSING], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.stdout.strip() == "imported everything but torch", run.stderr
