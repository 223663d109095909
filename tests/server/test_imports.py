from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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


ALLOWED = {
    "": {"app", "commands", "cpus", "engine", "errors", "files", "memory", "metrics", "reloading", "settings"}
    | {"similarity", "stages"}
    | {"rpc", "writing", "batching", "live", "encoding", "index", "lexical", "catalogue", "security", "transport"},
    "rpc": {"rpc", "engine", "errors", "metrics", "reloading", "settings", "stages"}
    | {"batching", "live", "encoding", "index", "lexical", "catalogue", "security", "transport"},
    "security": {"security", "errors"},
    "transport": {"transport", "errors"},
    "writing": {"writing", "engine", "errors", "metrics", "live", "encoding", "index", "catalogue"},
    "batching": {"batching", "cpus", "errors", "metrics", "stages", "live", "encoding", "index"},
    "live": {"live", "cpus", "errors", "files", "encoding", "index", "lexical", "catalogue"},
    "encoding": {"encoding", "errors", "files", "similarity", "catalogue"},
    "index": {"index", "catalogue", "cpus", "errors", "files", "similarity"},
    "lexical": {"lexical", "errors"},
    "catalogue": {"catalogue", "errors", "files"},
}
"""What the modules of each package may import of the server; `""` is the server's own level."""


def test_data_flows_one_way() -> None:
    folder = REPOSITORY / "server"
    for path in folder.rglob("*.py"):
        package = path.relative_to(folder).parts[0] if path.parent != folder else ""
        for module in imported_modules(path):
            top, _, rest = module.partition(".")
            if top == "server":
                assert rest.partition(".")[0] in ALLOWED[package], f"{path} imports {module}"
            assert top not in ("export", "loadtest", "sample", "tests", "tools"), f"{path} imports {module}"


def test_export_and_loadtest_cross_no_folders_but_those_agreed_on() -> None:
    agreed = {
        "export": {"export", "server.cpus", "server.encoding", "server.errors", "server.files", "server.similarity"},
        "loadtest": {"loadtest", "chaja"},
    }
    evaluating = {"server.catalogue", "server.index", "server.live"}
    for folder, allowed in agreed.items():
        for path in (REPOSITORY / folder).rglob("*.py"):
            evaluates = "quality" in path.parts or path.name in ("evaluate.py", "labelled_queries.py", "calibration.py")
            more = evaluating if evaluates else set()
            for module in imported_modules(path):
                if module.partition(".")[0] in ("server", "export", "loadtest", "sample", "tests", "tools"):
                    assert any(f"{module}.".startswith(f"{name}.") for name in allowed | more), f"{path}: {module}"


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
