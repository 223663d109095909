"""The quantization preset and the name of this CPU."""

from __future__ import annotations

import platform
from typing import Literal, get_args

from server.encoding.cpu import cpuinfo

Preset = Literal["avx512_vnni", "avx512", "avx2", "arm64"]

PRESETS: tuple[Preset, ...] = get_args(Preset)


def default_preset(machine: str | None = None, flags: frozenset[str] | None = None) -> Preset:
    """Returns the preset for this CPU, or for the one that `machine` and `flags` (as in /proc/cpuinfo) describe."""
    machine = platform.machine() if machine is None else machine
    flags = frozenset(cpuinfo("flags").split()) if flags is None else flags
    if machine.lower() in ("aarch64", "arm64"):
        return "arm64"
    if "avx512_vnni" in flags:
        return "avx512_vnni"
    if "avx512f" in flags:
        return "avx512"
    return "avx2"


def cpu_name() -> str:
    """Returns the CPU's model name, or its architecture if the system reports no name."""
    return cpuinfo("model name") or platform.processor() or platform.machine()
