"""Capabilities of this CPU, read from Linux's /proc/cpuinfo."""

import platform
from pathlib import Path


def cpuinfo(name: str) -> str:
    """Returns the first value of a name in /proc/cpuinfo, or ``""``."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in fields if key.strip() == name), "")


def products_saturate(machine: str | None = None, flags: frozenset[str] | None = None) -> bool:
    """Returns whether fast products of unsigned with signed bytes may be wrong on a CPU, by default this one.

    x86 without VNNI adds pairs of products in 16 bits, which saturate.
    """
    machine = platform.machine() if machine is None else machine
    flags = frozenset(cpuinfo("flags").split()) if flags is None else flags
    return machine.lower() in ("x86_64", "amd64") and not flags & {"avx512_vnni", "avx_vnni"}
