"""The commands of the wheel. They do the same as `python -m chaja_server` and `python -m chaja_export`."""

from __future__ import annotations

import importlib.metadata
import re
import runpy
import sys

DISTRIBUTION = "chaja-server"


def serve() -> None:
    """Runs the server."""
    # As a script: the server handles signals before the other imports only if its name is `__main__`.
    runpy.run_module("chaja_server", run_name="__main__", alter_sys=True)


def export() -> None:
    """Runs the exporter, or exits with 1 if the extra `export` is not installed."""
    if missing := missing_distributions("export"):
        sys.exit(f"chaja-export: error: run pip install '{DISTRIBUTION}[export]'; missing: {', '.join(missing)}")
    runpy.run_module("chaja_export", run_name="__main__", alter_sys=True)


def missing_distributions(extra: str) -> list[str]:
    """Returns the distributions of an extra that are not installed."""
    wanted = (entry for entry in importlib.metadata.requires(DISTRIBUTION) or () if f"extra == '{extra}'" in entry)
    names = [found[0] for entry in wanted if (found := re.match(r"[\w.-]+", entry))]
    return [name for name in names if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
