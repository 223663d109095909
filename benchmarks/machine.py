"""The machine that a benchmark ran on: without it, a figure says nothing."""

import importlib.metadata
import os
import platform

from export.cpu import cpu_name, default_preset

LIBRARIES = ("numpy", "onnxruntime", "optimum-onnx", "sentence-transformers", "tokenizers", "torch", "transformers")


def describe_machine() -> dict[str, str]:
    """Returns CPU, its instructions, system, and the versions of what is measured."""
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {
        "cpu": f"{cpu_name()} ({default_preset()}), {os.cpu_count()} cores",
        "system": platform.platform(),
        "python": platform.python_version(),
        **versions,
    }


def pin_to_one_core() -> int:
    """Keeps this process and all it starts to the last core that it may use; returns its number."""
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core
