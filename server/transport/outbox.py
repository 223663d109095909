"""What goes to one client: frames in their order, one write a turn of the loop, DATA only within the client's windows.

Flow control is that of RFC 9113, section 5.2. A client that does not read is not written to beyond what the transport
buffers: messages then wait here like those that a window holds back.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

from server.transport import frames
from server.transport.frames import ConnectionFault, StreamFault

if TYPE_CHECKING:
    from server.transport.call import Call

NOTHING = memoryview(b"")
FIRST_WINDOW_BYTES = 65_535
LARGEST_BUFFER_BYTES = 256 * 1024
"""What the transport may hold unsent before messages wait."""

PATIENCE_SECONDS = 0.008
"""How long refusals wait for company."""

FRAMES_AT_ONCE, BYTES_AT_ONCE = 64, 64 * 1024
"""What a method may write before others have their turn."""


class Outbox:
    """Sends to one client.

    Attributes:
        congested: Whether the client reads too slowly for what it is sent.
        waiting_bytes: How much of messages waits for a window.
        gathering: Whether somebody will call `gathered` who has more to send: no turn of the loop is spent on it then.
        patient: Whether what is written now may wait a little for more: refusals, of which an overloaded server sends
            thousands, each a system call for it and another one for the client.
        sent_for_calls: Whether anything but control frames was sent since it was last set to `False`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop = loop
        self._transport = transport
        transport.set_write_buffer_limits(high=LARGEST_BUFFER_BYTES)
        self._frames: list[bytes] = []
        self._gathered_bytes = 0
        self._window = FIRST_WINDOW_BYTES
        self._stream_window = FIRST_WINDOW_BYTES
        self._ready: OrderedDict[Call, None] = OrderedDict()
        """Calls that their own windows let send, in turn. Others are found again by their WINDOW_UPDATE."""
        self.gathering = self.patient = False
        self._hurried = False
        self._waiting: asyncio.TimerHandle | None = None
        self.congested = False
        self.waiting_bytes = 0
        self.sent_for_calls = False

    def write(self, data: bytes) -> None:
        """Sends whole frames with the next write."""
        if self.patient:
            if self._waiting is None:
                self._waiting = self._loop.call_later(PATIENCE_SECONDS, self.flush)
        elif not self._hurried:
            self._hurried = True
            if not self.gathering:
                self._loop.call_soon(self.flush)
        self._frames.append(data)
        self._gathered_bytes += len(data)
        if self._gathered_bytes > LARGEST_BUFFER_BYTES:
            self.flush()  # May find out that the transport has enough.

    @property
    def full(self) -> bool:
        """Whether so much is gathered that it had better be written before there is more."""
        return len(self._frames) >= FRAMES_AT_ONCE or self._gathered_bytes >= BYTES_AT_ONCE

    def gathered(self) -> None:
        """Ends the gathering; writes what it has brought together, unless all of it may wait."""
        self.gathering = False
        if self._hurried:
            self.flush()

    def flush(self) -> None:
        """Writes what there is."""
        self._hurried = False
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if self._frames:
            data = self._frames[0] if len(self._frames) == 1 else b"".join(self._frames)
            self._frames.clear()
            self._gathered_bytes = 0
            self._transport.write(data)

    def open(self, call: Call) -> None:
        """Gives a new stream its window."""
        call.send_window = self._stream_window

    def respond(self, call: Call, head: bytes, prefix: bytes, message: bytes, trailers: bytes) -> None:
        """Sends all of a response that has one message, at once if it fits."""
        size = len(prefix) + len(message)
        if (
            size > frames.LARGEST_PAYLOAD_BYTES
            or size > self._window
            or size > call.send_window
            or self.congested
            or len(head) + len(trailers) > frames.LARGEST_PAYLOAD_BYTES
        ):
            self.write(frames.header_frames(head, call.stream, ends=False))
            self.send(call, prefix + message)
            self.finish(call, trailers)
            return
        stream, header = call.stream, frames.frame_header
        self._window -= size
        self.sent_for_calls = True
        self.write(
            b"".join(
                (
                    header(frames.HEADERS, frames.END_HEADERS, stream, len(head)),
                    head,
                    header(frames.DATA, 0, stream, size),
                    prefix,
                    message,
                    header(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, len(trailers)),
                    trailers,
                )
            )
        )
        call.close()

    def send(self, call: Call, data: bytes) -> None:
        """Sends DATA, or keeps what has to wait: `call.unsent` says whether there is any."""
        self.sent_for_calls = True
        waits = bool(call.unsent)
        call.unsent = memoryview(bytes(call.unsent) + data if waits else data)
        self.waiting_bytes += len(data)
        if not waits:
            self._ready[call] = None
            self._send_ready()

    def finish(self, call: Call, trailers: bytes) -> None:
        """Sends trailers and closes the call, after the DATA that waits."""
        call.trailers = trailers
        if call.unsent:
            return
        self.sent_for_calls = True
        self.write(frames.header_frames(trailers, call.stream, ends=True))
        call.close()

    def drop(self, call: Call) -> None:
        """Forgets the DATA of a call that has ended otherwise."""
        if call.unsent:
            self.waiting_bytes -= len(call.unsent)
            call.unsent, call.trailers = NOTHING, b""
            self._ready.pop(call, None)

    def widen(self, increment: int, call: Call | None = None) -> None:
        """Takes a WINDOW_UPDATE, of a stream or else of the connection (section 6.9).

        Raises:
            ConnectionFault, StreamFault: It adds nothing, or the window becomes too large.
        """
        before = self._window if call is None else call.send_window
        code = frames.PROTOCOL_ERROR if not increment else frames.FLOW_CONTROL_ERROR
        if not increment or before + increment > frames.LARGEST_WINDOW:
            if call is not None:
                raise StreamFault(call.stream, code, "a WINDOW_UPDATE out of its range")
            raise ConnectionFault(code, "a WINDOW_UPDATE out of its range")
        if call is None:
            self._window += increment
        else:
            call.send_window += increment
            if call.unsent:
                self._ready[call] = None
        if self._ready:
            self._send_ready()

    def set_stream_window(self, size: int, calls: list[Call]) -> None:
        """Takes INITIAL_WINDOW_SIZE, which moves the windows of open streams too, even below zero (section 6.9.2)."""
        for call in calls:
            call.send_window += size - self._stream_window
            if call.send_window > frames.LARGEST_WINDOW:
                raise ConnectionFault(frames.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE makes a window too large")
            if call.unsent:
                self._ready[call] = None
        self._stream_window = size
        self._send_ready()

    def pause(self) -> None:
        """The transport has enough."""
        self.congested = True

    def resume(self) -> None:
        """The transport wants more."""
        self.congested = False
        self._send_ready()

    def _send_ready(self) -> None:
        """Sends what windows allow: a frame of each call in turn, so that no large message holds up the others."""
        while self._ready and self._window > 0 and not self.congested:
            call, _ = self._ready.popitem(last=False)
            size = min(len(call.unsent), self._window, call.send_window, frames.LARGEST_PAYLOAD_BYTES)
            if size <= 0:
                continue
            part, call.unsent = call.unsent[:size], call.unsent[size:]
            self._window -= size
            call.send_window -= size
            self.waiting_bytes -= size
            self.write(frames.frame(frames.DATA, 0, call.stream, part))
            if call.unsent:
                self._ready[call] = None
            elif call.trailers:
                self.finish(call, call.trailers)
            else:
                call.wake_writer()
