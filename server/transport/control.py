"""Frames that are about the connection, not about a call (RFC 9113, sections 6.3 and 6.5 to 6.8)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server.transport import abuse, frames
from server.transport.frames import FRAME_SIZE_ERROR, PROTOCOL_ERROR, ConnectionFault, StreamFault

if TYPE_CHECKING:
    from server.transport.connection import Connection


class Control:
    """Answers them, and counts those that cost a client nothing.

    Attributes:
        greeted: Whether the client's first SETTINGS have come.
        idle_frames: Counts frames that have an effect on nothing.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self.greeted = False
        self.idle_frames = abuse.Allowance(
            "frames without effect", at_once=abuse.IDLE_FRAMES_AT_ONCE, per_second=abuse.IDLE_FRAMES_PER_SECOND
        )
        self._settings = abuse.Allowance(
            "SETTINGS", at_once=abuse.SETTINGS_AT_ONCE, per_second=abuse.SETTINGS_PER_SECOND
        )
        self._pings = abuse.PingPolice()

    def on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        """Takes settings and acknowledges them."""
        if stream:
            raise ConnectionFault(PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & frames.ACK:
            if payload:
                raise ConnectionFault(FRAME_SIZE_ERROR, "an acknowledgement with settings in it")
            if not self.greeted:
                raise ConnectionFault(PROTOCOL_ERROR, "the first frame is an acknowledgement")
            self.idle_frames.use()
            return
        values = frames.parse_settings(payload)
        self._settings.use()
        if not self.greeted:
            self.greeted = True
            self._connection.lifetime.greeted()
        # First, for it is from the acknowledgement on that the client counts by its new window (section 6.5.3).
        outbox = self._connection.outbox
        outbox.write(frames.frame(frames.SETTINGS, frames.ACK, 0))
        if frames.INITIAL_WINDOW_SIZE in values:
            outbox.set_stream_window(values[frames.INITIAL_WINDOW_SIZE], list(self._connection.calls.values()))
        # HEADER_TABLE_SIZE and MAX_FRAME_SIZE only allow what we make no use of.

    def on_ping(self, flags: int, stream: int, payload: bytes) -> None:
        """Says that we are there."""
        if stream:
            raise ConnectionFault(PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise ConnectionFault(FRAME_SIZE_ERROR, "PING of a wrong size")
        self.idle_frames.use()
        if flags & frames.ACK:
            return
        outbox = self._connection.outbox
        self._pings.on_ping(self._loop.time(), sent_since=outbox.sent_for_calls)
        outbox.sent_for_calls = False
        outbox.write(frames.frame(frames.PING, frames.ACK, 0, payload))

    def on_priority(self, flags: int, stream: int, payload: bytes) -> None:
        """Makes nothing of it: priorities of this kind are deprecated (section 5.3.2)."""
        if not stream:
            raise ConnectionFault(PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(payload) != 5:
            raise StreamFault(stream, FRAME_SIZE_ERROR, "PRIORITY of a wrong size")
        self.idle_frames.use()

    def on_goaway(self, flags: int, stream: int, payload: bytes) -> None:
        """Makes nothing of it: the client closes when it has its answers."""
        if stream:
            raise ConnectionFault(PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < 8:
            raise ConnectionFault(FRAME_SIZE_ERROR, "GOAWAY of a wrong size")
        self.idle_frames.use()

    def on_push_promise(self, flags: int, stream: int, payload: bytes) -> None:
        """Clients must not push (section 8.4)."""
        raise ConnectionFault(PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def on_unknown(self, flags: int, stream: int, payload: bytes) -> None:
        """Ignores frames of unknown kinds (section 5.5)."""
        self.idle_frames.use()
