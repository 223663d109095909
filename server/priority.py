"""The priority of threads."""

import contextlib
import os
import sys
import threading

CALL_NICENESS = 10
"""Niceness of threads that do the work of calls. The event loop goes first: its tasks are short, and under overload
many of them reject calls."""


def give_way(niceness: int) -> None:
    """Lowers the priority of the calling thread and lengthens its time slices (`SCHED_BATCH`). Linux only.

    Longer slices reduce switches between threads that evict each other's data from the CPU caches. A container may
    forbid the policy.
    """
    if sys.platform == "linux":
        # Without privileges, a thread cannot go back to a lower niceness than the process has.
        niceness = max(niceness, os.getpriority(os.PRIO_PROCESS, 0))
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
