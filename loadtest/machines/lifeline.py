"""Notices that the other side of a connection is gone or hangs."""

import threading
import time
from collections.abc import Callable

from loadtest.machines.messages import BEAT_SECONDS, SILENT_SECONDS


class Lifeline:
    """A thread that calls `beat` every second, and `lost` once if `heard` was not called for ten.

    A dead connection is not enough: a process that was stopped keeps its connections.
    """

    def __init__(self, lost: Callable[[], None], *, beat: Callable[[], None] | None = None) -> None:
        self._lost = lost
        self._beat = beat
        self._ended = threading.Event()
        self._heard = time.monotonic()
        threading.Thread(target=self._watch, daemon=True).start()

    def heard(self) -> None:
        """Notes a sign of life."""
        self._heard = time.monotonic()

    def end(self) -> None:
        """Ends the thread."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            if time.monotonic() - self._heard > SILENT_SECONDS:
                self._lost()
                return
            if self._beat is not None:
                self._beat()
