"""Handles SIGTERM, SIGINT and SIGHUP from the start of the process to its end.

A signal that arrives before the server can act on it is remembered, and a second one that asks for the end ends the
process at once. The handlers stay the same all the time: asyncio's would restore the default actions, which kill.
"""

import logging
import os
import signal
from collections.abc import Callable
from types import FrameType

log = logging.getLogger(__name__)

ENDING = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """The signals of this process. Used in the main thread."""

    def __init__(self) -> None:
        self._arrived: list[int] = []
        self._actions: dict[int, Callable[[], object]] = {}

    def hold(self) -> None:
        """Remembers signals from now on."""
        for number in (*ENDING, signal.SIGHUP):
            signal.signal(number, self._handle)

    def release(self) -> None:
        """Restores the default actions, and repeats the signals that have arrived."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for each in self._arrived:
            os.kill(os.getpid(), each)

    def deliver(self, *, stop: Callable[[], object], reload: Callable[[], object]) -> None:
        """Calls these functions for signals from now on, and for those that have arrived.

        They are called between two instructions of the main thread, so they must only pass the signal on.
        """
        self._actions = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
        for each in list(self._arrived):
            self._actions[each]()

    def ignore(self) -> None:
        """Ignores signals until the process has ended, so that a late one does not change the exit code."""
        for number in (*ENDING, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if number in ENDING and any(each in ENDING for each in self._arrived):
            log.warning("second signal: stopping at once")
            logging.shutdown()
            os._exit(128 + number)
        if number not in self._arrived:
            self._arrived.append(number)
        if number in self._actions:
            self._actions[number]()
