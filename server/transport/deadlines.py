"""Ends calls whose time is up, with one timer for all of them.

A timer a call would cost more than reading its headers: nearly all are cancelled. So calls share a slot with those that
expire within the same hundredth of a second, and are found late by no more than that.
"""

from __future__ import annotations

import asyncio
import heapq
from typing import Protocol

SLOT_SECONDS = 0.01
TIDY_SLOTS = 4096
"""How many slots there may be before the empty ones are let go: those of calls that ended long before their time."""


class Expiring(Protocol):
    """What has a deadline."""

    def expire(self) -> None:
        """Is called once the deadline has passed."""


class Deadlines:
    """The deadlines of a server's calls, by the loop's clock."""

    def __init__(self) -> None:
        self._slots: dict[int, set[Expiring]] = {}
        self._order: list[int] = []
        self._tidy_at = TIDY_SLOTS
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: Expiring, deadline: float) -> None:
        """Remembers a call; `deadline` is by the loop's clock."""
        slot = int(deadline / SLOT_SECONDS) + 1
        calls = self._slots.get(slot)
        if calls is not None:
            calls.add(call)
            return
        self._slots[slot] = {call}
        heapq.heappush(self._order, slot)
        if len(self._order) > self._tidy_at:
            self._tidy()
        if self._order[0] == slot:
            self._set_timer()

    def remove(self, call: Expiring, deadline: float) -> None:
        """Forgets a call that has ended."""
        calls = self._slots.get(int(deadline / SLOT_SECONDS) + 1)
        if calls is not None:
            calls.discard(call)

    def close(self) -> None:
        """Stops the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _tidy(self) -> None:
        self._slots = {slot: calls for slot, calls in self._slots.items() if calls}
        self._order = sorted(self._slots)
        self._tidy_at = max(TIDY_SLOTS, 2 * len(self._order))

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._order[0] * SLOT_SECONDS, self._expire) if self._order else None

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._order and self._order[0] * SLOT_SECONDS <= now:
            for call in self._slots.pop(heapq.heappop(self._order)):
                call.expire()
        self._timer = None
        self._set_timer()
