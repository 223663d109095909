"""What a client may do often, but not that often: what costs it nothing and us something (RFC 9113, section 10.5).

The thresholds are far beyond what honest clients do, thousands of calls cancelled at once among it.
"""

from __future__ import annotations

import time

from server.transport.frames import ENHANCE_YOUR_CALM, ConnectionFault

RESETS_AT_ONCE, RESETS_PER_SECOND = 20_000, 4_000
"""Streams that a client opens and resets, or has us reset (CVE-2023-44487, CVE-2025-8671)."""

IDLE_FRAMES_AT_ONCE, IDLE_FRAMES_PER_SECOND = 5_000, 500
"""Frames that have an effect on nothing: PING, PRIORITY, empty DATA and frames of unknown kinds."""

SETTINGS_AT_ONCE, SETTINGS_PER_SECOND = 100, 10
"""Each of them may move the windows of all open streams."""

PING_SECONDS = 10.0
"""A client may ask so often whether we are there, while nothing else is sent."""

PING_LENIENCE = 0.9
PING_STRIKES = 2
"""Pings that may come earlier, as in gRPC's own servers (gRFC A8)."""

LARGEST_BLOCK_BYTES = 64 * 1024
"""Of a header block in all its CONTINUATION frames (CVE-2024-27316)."""

CONTINUATIONS = 64
"""Frames that one header block may come in; an empty one is no less of a frame."""


class Allowance:
    """A bucket that runs out at a steady rate and must not run over."""

    def __init__(self, what: str, *, at_once: int, per_second: float) -> None:
        self._what = what
        self._at_once = at_once
        self._per_second = per_second
        self._level = 0.0
        self._seen = time.monotonic()

    def use(self) -> None:
        """Counts one; raises ConnectionFault if it is one too many."""
        self._level += 1
        if self._level <= self._at_once:
            return
        now = time.monotonic()
        self._level = max(0.0, self._level - (now - self._seen) * self._per_second)
        self._seen = now
        if self._level > self._at_once:
            raise ConnectionFault(ENHANCE_YOUR_CALM, f"too many {self._what}")


class PingPolice:
    """Counts pings that come too early (gRFC A8)."""

    def __init__(self) -> None:
        self._strikes = 0
        self._last = -PING_SECONDS

    def on_ping(self, now: float, *, sent_since: bool) -> None:
        """Counts a ping.

        Args:
            now: By a monotonic clock.
            sent_since: Whether calls were answered since the last one: then a ping measures the bandwidth.

        Raises:
            ConnectionFault: There were too many.
        """
        early = now - self._last < PING_SECONDS * PING_LENIENCE
        self._last = now
        if sent_since:
            self._strikes = 0
        elif early:
            self._strikes += 1
            if self._strikes > PING_STRIKES:
                raise ConnectionFault(ENHANCE_YOUR_CALM, "too_many_pings")
