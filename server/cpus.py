"""The number of CPUs that this process may use, by affinity and cgroup quota.

A container with `--cpus 2` on a large host sees all of the host's cores. One thread per core would be throttled most of
the time (text-embeddings-inference issue 405).
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path


def usable_cpus(root: Path = Path("/")) -> int:
    """Returns the number of CPUs to plan for, at least 1.

    A quota is rounded up: with 1.5 CPUs two threads are throttled a little, but one would leave a third unused.
    `root` is the directory that holds `proc` and `sys`.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([affinity, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Yields the quotas, in CPUs, of the process's control group and its ancestors (cgroup v2, then v1)."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        v2 = not controllers
        if not v2 and "cpu" not in controllers.split(","):
            continue
        group = Path(path.lstrip("/"))
        for each in (group, *group.parents):
            folder = root / "sys/fs/cgroup" / ("" if v2 else "cpu") / each
            if v2:
                fields = _read(folder / "cpu.max").split()
            else:
                fields = [_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")]
            try:
                quota, period = (int(field) for field in fields)
            except ValueError:  # No such file, or "max": no quota.
                continue
            if quota > 0 and period > 0:
                yield quota / period


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
