"""How the tests call a scripted server: over a channel, and with a deadline that only those about deadlines name."""

from __future__ import annotations

from loadtest.target import Target
from loadtest.wire.channel import Answer, Channel
from tests.loadtest.wire.peer import METHOD, Peer


def channel_to(peer: Peer) -> Channel:
    """Returns a channel to a scripted server, not yet connected."""
    return Channel(Target(address=peer.address))


async def ask(channel: Channel, *messages: bytes, seconds: float = 5) -> Answer:
    """Calls with messages, or with one of no importance, and returns the answer."""
    return await channel.call(METHOD, messages or [b"x"], timeout_seconds=seconds)
