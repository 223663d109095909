"""Describes the machine and the software of an attack: figures mean nothing without them."""

import contextlib
import importlib.metadata
import os
import platform
import re
from pathlib import Path

LIBRARIES = ("grpcio", "hdrhistogram", "numpy", "protobuf")


def describe_environment(command_line: str = "") -> dict[str, object]:
    """Returns machine, CPU, versions and command line."""
    return {
        "command_line": command_line,
        "host": platform.node(),
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "cpus_allowed": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def cpu_name() -> str:
    """Returns the CPU's name as the system reports it."""
    with contextlib.suppress(OSError):
        if found := re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8")):
            return found[1]
    return platform.processor() or platform.machine()
