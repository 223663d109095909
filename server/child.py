"""Programs that the server runs as separate processes, which give way to it and end with it."""

import os
import threading


def begin_child(niceness: int) -> None:
    """Lowers the priority of this process, and ends it when its standard input closes: its parent has ended then."""
    os.nice(niceness)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    os.read(0, 1)  # Not `sys.stdin`: a thread must not hold its lock when Python exits.
    os._exit(1)
