"""How many CPUs this process may use, by its affinity and the quota of its control group; and which thread goes first.

A container with `--cpus 2` on a large host sees all of the host's cores; a thread for each of them would spend its time
being throttled (text-embeddings-inference issue 405).
"""

import contextlib
import math
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path


def usable_cpus(root: Path = Path("/")) -> int:
    """Returns the number of CPUs to plan for, at least 1.

    A quota counts rounded up: with 1.5 CPUs two threads are throttled a little, one would leave a third unused.
    `root` is where `proc` and `sys` are found.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([affinity, *(math.ceil(quota) for quota in _quotas(root))]))


def give_way(niceness: int) -> None:
    """Lets other threads have the CPU before the calling one, and this one have it for longer at a time.

    Only Linux has priorities and policies of threads. A container may forbid the policy: it gains some 5 % of what an
    overloaded server answers, by fewer switches between threads that push each other's data out of the caches.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _quotas(root: Path) -> Iterator[float]:
    """Yields the quotas, in CPUs, of the process's control group and of all above it (cgroup v2, then v1)."""
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
