"""The difference between two machines' clocks, measured as NTP does (RFC 5905, section 8)."""

from collections.abc import Callable
from typing import NamedTuple

from loadtest.clock import now_ns

MOST_PINGS = 40
MOST_NS = 1_000_000_000
"""Limit of the time that a measurement takes."""


class Exchange(NamedTuple):
    """The times of one ping and its answer, the outer two by our clock, the inner two by that of the other machine."""

    sent_ns: int
    received_ns: int
    replied_ns: int
    returned_ns: int


class Offset(NamedTuple):
    """The time by which another machine's clock is ahead of ours.

    Attributes:
        ns: The estimate.
        bound_ns: The largest possible error of it, whatever the network did.
    """

    ns: int
    bound_ns: int

    @property
    def bound_seconds(self) -> float:
        """The bound in seconds."""
        return self.bound_ns / 1e9


def offset_of(ping: Exchange) -> Offset:
    """Returns the offset: the ping shows it to half the time that the messages were under way."""
    under_way = (ping.returned_ns - ping.sent_ns) - (ping.replied_ns - ping.received_ns)
    ahead = (ping.received_ns - ping.sent_ns) + (ping.replied_ns - ping.returned_ns)
    return Offset(ahead // 2, max(0, under_way) // 2 + 1)


def measure_offset(ping: Callable[[], Exchange]) -> Offset:
    """Returns the offset by the quickest of several pings."""
    until_ns = now_ns() + MOST_NS
    best = offset_of(ping())
    for _ in range(MOST_PINGS - 1):
        if now_ns() > until_ns:
            break
        best = min(best, offset_of(ping()), key=lambda offset: offset.bound_ns)
    return best
