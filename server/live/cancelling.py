"""The event that ends a load early: when the server ends, or another bundle takes its place."""

import threading


class LoadCancelled(threading.Event):
    """Set once it was set itself, or the event of all loads was."""

    def __init__(self, all_loads: threading.Event) -> None:
        super().__init__()
        self._all_loads = all_loads

    def is_set(self) -> bool:
        """Returns whether the load is to end."""
        return super().is_set() or self._all_loads.is_set()
