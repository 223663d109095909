"""How long a connection may live, and how long it may say nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.transport.connection import Connection
    from server.transport.host import TransportLimits

AGE_JITTER = 0.1
"""Connections that were opened together are not closed together."""

GOODBYE_SECONDS = 0.1
"""Between the two GOAWAY frames: calls that were on their way are still taken (RFC 9113, section 6.8)."""

CLOSE_SECONDS = 5.0
"""Within which a client has to read what it was last sent."""

STALL_SECONDS = 120.0
"""Within which a client that has stopped to read what it was sent has to go on. Flow control is no such stop."""


class Lifetime:
    """The timers of one connection."""

    def __init__(self, connection: Connection, limits: TransportLimits) -> None:
        self._connection = connection
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._heard = self._asked = self._loop.time()
        self._set("greeting", limits.greeting_seconds, connection.abort)
        if limits.max_connection_age_seconds != float("inf"):
            jitter = random.uniform(1 - AGE_JITTER, 1 + AGE_JITTER)  # noqa: S311
            self._set("age", limits.max_connection_age_seconds * jitter, self._grow_old)

    def greeted(self) -> None:
        """The client has shown that it speaks HTTP/2."""
        self._cancel("greeting")
        self._set("keepalive", self._limits.keepalive_seconds, self._ask)

    def heard(self) -> None:
        """Something came from the client."""
        self._heard = self._loop.time()

    def stalled(self) -> None:
        """The client reads no more."""
        self._set("stall", STALL_SECONDS, self._connection.abort)

    def flows(self) -> None:
        """The client reads again."""
        self._cancel("stall")

    def goodbye(self) -> None:
        """Has the connection say its last stream in a moment."""
        if "goodbye" not in self._timers:
            self._set("goodbye", GOODBYE_SECONDS, self._connection.say_last_stream)

    def closing(self) -> None:
        """Has the connection aborted unless it closes by itself."""
        self._set("closing", CLOSE_SECONDS, self._connection.abort)

    def close(self) -> None:
        """Stops all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _ask(self) -> None:
        """Pings a client that was silent, and gives up one that stays so."""
        silent = self._loop.time() - self._heard
        if silent < self._limits.keepalive_seconds:
            self._set("keepalive", self._limits.keepalive_seconds - silent, self._ask)
        else:
            self._asked = self._loop.time()
            self._connection.ping()
            self._set("keepalive", self._limits.keepalive_timeout_seconds, self._give_up)

    def _give_up(self) -> None:
        if self._heard < self._asked:
            self._connection.abort()
        else:
            self._set("keepalive", self._limits.keepalive_seconds, self._ask)

    def _grow_old(self) -> None:
        self._connection.drain()
        if self._limits.max_connection_age_grace_seconds != float("inf"):
            self._set("age", self._limits.max_connection_age_grace_seconds, self._connection.close)

    def _set(self, name: str, seconds: float, callback: Callable[[], None]) -> None:
        self._cancel(name)
        self._timers[name] = self._loop.call_later(seconds, callback)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
