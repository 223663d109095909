"""One client's connection, as an asyncio protocol: what each frame means (RFC 9113, sections 5 and 6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import grpc

from server.transport import abuse, frames
from server.transport.call import LARGEST_HELD_BYTES, Call
from server.transport.control import Control
from server.transport.frames import ConnectionFault, FrameReader, StreamFault
from server.transport.headers import HeaderReader
from server.transport.host import Host
from server.transport.lifetime import Lifetime
from server.transport.outbox import FIRST_WINDOW_BYTES, Outbox
from server.transport.request import MAX_HEADER_LIST_BYTES, Refusal, Request

CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024
LARGEST_WAITING_BYTES = 16 * 1024 * 1024
"""Responses that a client does not take; while there are more of them, it gets no new calls."""


class Connection(asyncio.Protocol):
    """Takes calls, and lets them go.

    Attributes:
        peer: The client's address, as gRPC writes it.
        outbox: Sends to the client.
        lifetime: Its timers.
        calls: Those that are open, by stream.
        max_message_bytes: Of a request.
        held_bytes: How much of requests waits to be taken, with the headers of open calls.
    """

    outbox: Outbox
    lifetime: Lifetime

    def __init__(self, host: Host) -> None:
        self._host = host
        self.max_message_bytes = host.limits.max_message_bytes
        self.peer = "unknown"
        self.calls: dict[int, Call] = {}
        self.held_bytes = 0
        self._reader = FrameReader()
        self._headers = HeaderReader()
        self._preface = frames.PREFACE
        self._last_stream = 0
        self._last_taken: int | None = None
        self._draining = False
        self._closing = False
        self._window = CONNECTION_WINDOW_BYTES
        self._block: tuple[int, int, bytearray, int] | None = None
        self._resets = abuse.Allowance(
            "streams reset", at_once=abuse.RESETS_AT_ONCE, per_second=abuse.RESETS_PER_SECOND
        )
        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {}

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets."""
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        self.outbox = Outbox(self._loop, self._transport)
        self.peer = _peer(transport.get_extra_info("peername"))
        self.lifetime = Lifetime(self, self._host.limits)
        self._control = Control(self)
        self._handlers = {
            frames.DATA: self._on_data,
            frames.HEADERS: self._on_headers,
            frames.PRIORITY: self._control.on_priority,
            frames.RST_STREAM: self._on_reset,
            frames.SETTINGS: self._control.on_settings,
            frames.PUSH_PROMISE: self._control.on_push_promise,
            frames.PING: self._control.on_ping,
            frames.GOAWAY: self._control.on_goaway,
            frames.WINDOW_UPDATE: self._on_window_update,
            frames.CONTINUATION: self._on_continuation,
        }
        self._host.connections.add(self)
        ours = {
            frames.MAX_CONCURRENT_STREAMS: self._host.limits.max_concurrent_streams,
            frames.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST_BYTES,
        }
        self.outbox.write(frames.settings(ours) + frames.window_update(0, CONNECTION_WINDOW_BYTES - FIRST_WINDOW_BYTES))
        if self._host.stopping:
            self.drain()

    def connection_lost(self, error: Exception | None) -> None:
        """Cancels what ran for the client."""
        self._closing = True
        self.lifetime.close()
        self._host.connections.discard(self)
        for call in list(self.calls.values()):
            call.abandon()
        self._handlers.clear()  # They refer to this object: without them it is gone at once.

    def pause_writing(self) -> None:
        """The client reads too slowly: nor do we read from it, so that it cannot pile up answers.

        Nor do we go on with what we have read, which may ask for a thousand times as much.
        """
        self._reader.paused = True
        self.outbox.pause()
        self.lifetime.stalled()
        if not self._closing:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has read."""
        self._reader.paused = False
        self.lifetime.flows()
        if not self._closing:
            self._transport.resume_reading()
            self._loop.call_soon(self.data_received, b"")  # Later: with TLS, this may be within a frame's handling.
        self.outbox.resume()

    def data_received(self, data: bytes) -> None:
        """Takes what came, frame by frame."""
        if self._closing:
            return
        self.lifetime.heard()
        self.outbox.gathering = True
        try:
            if self._preface:
                data = self._without_preface(data)
            for kind, flags, stream, payload in self._reader.feed(data):
                if self._block is not None and kind != frames.CONTINUATION:
                    raise ConnectionFault(frames.PROTOCOL_ERROR, "a header block that is interrupted")
                if not self._control.greeted and kind != frames.SETTINGS:
                    raise ConnectionFault(frames.PROTOCOL_ERROR, "the first frame is not SETTINGS")
                handle = self._handlers.get(kind, self._control.on_unknown)
                try:
                    handle(flags, stream, payload)
                except StreamFault as fault:
                    self._reset(fault.stream, fault.code)
                if self._transport.is_closing():
                    return
        except ConnectionFault as fault:
            self.close(fault.code, str(fault))
        finally:
            self.outbox.gathered()

    # What the lifetime and the server tell.

    def drain(self) -> None:
        """Takes no new calls soon, and closes when the last one is done (section 6.8)."""
        if not (self._draining or self._closing):
            self._draining = True
            self.outbox.write(frames.goaway(frames.LAST_STREAM, frames.NO_ERROR))
            self.lifetime.goodbye()

    def say_last_stream(self) -> None:
        """Says which calls are the last, and ignores all behind them."""
        self._last_taken = self._last_stream
        self.outbox.write(frames.goaway(self._last_stream, frames.NO_ERROR))
        self._close_if_done()

    def ping(self) -> None:
        """Asks the client whether it is there."""
        self.outbox.write(frames.frame(frames.PING, 0, 0, b"are you?"))

    def close(self, code: int = frames.NO_ERROR, why: str = "") -> None:
        """Says why, and closes; calls on it are cancelled."""
        if self._closing:
            return
        self._closing = True
        for call in list(self.calls.values()):
            call.abandon()
        if self._last_taken is None or code:
            last = self._last_stream if self._last_taken is None else self._last_taken  # It must never grow.
            self.outbox.write(frames.goaway(last, code, why))
        self.outbox.flush()
        self.lifetime.close()
        self.lifetime.closing()
        self._transport.close()

    def abort(self) -> None:
        """Closes without a word."""
        self._closing = True
        self._transport.abort()

    # What calls tell.

    def run(self, call: Call) -> None:
        """Runs the method of a call, whose request is there."""
        self._host.start(call)

    def forget(self, call: Call) -> None:
        """A call has ended."""
        self.calls.pop(call.stream, None)
        if call.deadline is not None:
            self._host.deadlines.remove(call, call.deadline)
        if not call.half_closed:  # Section 8.1: the client need not send the rest.
            call.half_closed = True
            self.outbox.write(frames.reset(call.stream, frames.NO_ERROR))
        if self._last_taken is not None:
            self._close_if_done()

    def transport_info(self, name: str) -> Any:
        """Returns what asyncio knows of the transport."""
        return self._transport.get_extra_info(name)

    # Frames.

    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        size = len(payload)
        self._window -= size
        if self._window < CONNECTION_WINDOW_BYTES // 2:
            self.outbox.write(frames.window_update(0, CONNECTION_WINDOW_BYTES - self._window))
            self._window = CONNECTION_WINDOW_BYTES
        ends = bool(flags & frames.END_STREAM)
        if not (size or ends):
            self._control.idle_frames.use()
        call = self.calls.get(stream)
        if call is None:
            self._check_not_idle(stream, "DATA")
        else:
            call.receive(
                frames.content(flags & frames.PADDED, payload) if flags & frames.PADDED else payload, size, ends=ends
            )

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        if not stream & 1:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "HEADERS on a stream that no client opens")
        if flags & (frames.PADDED | frames.PRIORITIZED):
            payload = frames.content(flags, payload)
        if flags & frames.END_HEADERS:
            self._on_block(flags, stream, payload)
        else:
            self._block = stream, flags, bytearray(payload), 0

    def _on_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != stream:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a header block goes on that was not begun")
        _, first_flags, block, count = self._block
        block += payload
        if len(block) > abuse.LARGEST_BLOCK_BYTES or count >= abuse.CONTINUATIONS:
            raise ConnectionFault(frames.ENHANCE_YOUR_CALM, "a header block that is too large")
        self._block = stream, first_flags, block, count + 1
        if flags & frames.END_HEADERS:
            self._block = None
            self._on_block(first_flags, stream, bytes(block))

    def _on_block(self, flags: int, stream: int, block: bytes) -> None:
        request = self._headers.read(block)
        if stream <= self._last_stream:
            self._on_trailers(flags, stream)
            return
        self._last_stream = stream
        if self._last_taken is not None:
            return
        if request.malformed:
            raise StreamFault(stream, frames.PROTOCOL_ERROR, request.malformed)
        if (
            len(self.calls) >= self._host.limits.max_concurrent_streams
            or self.outbox.waiting_bytes > LARGEST_WAITING_BYTES
            or self.held_bytes > LARGEST_HELD_BYTES
        ):
            raise StreamFault(stream, frames.REFUSED_STREAM, "too many calls")
        self._open(stream, request, ends=bool(flags & frames.END_STREAM))

    def _open(self, stream: int, request: Request, *, ends: bool) -> None:
        handler = None if request.refusal is not None else self._host.find(request)
        call = self.calls[stream] = Call(self, stream, request, handler)
        self.outbox.open(call)
        if handler is None:
            call.half_closed = ends
            missing = Refusal(grpc.StatusCode.UNIMPLEMENTED, "there is no such method")
            call.refuse(request.refusal or missing)
            return
        if request.timeout_seconds is not None:
            call.deadline = self._loop.time() + request.timeout_seconds
            self._host.deadlines.add(call, call.deadline)
        if handler.request_streaming:
            self._host.start(call)
        if ends:
            call.half_close()

    def _on_trailers(self, flags: int, stream: int) -> None:
        """Ends the request; what else trailers say is of no interest to gRPC."""
        call = self.calls.get(stream)
        if call is None:  # It was refused or reset before they came.
            self._control.idle_frames.use()
            return
        if call.half_closed or not flags & frames.END_STREAM:
            raise StreamFault(stream, frames.PROTOCOL_ERROR, "HEADERS in the middle of a request, or behind it")
        call.half_close()

    def _on_reset(self, flags: int, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(frames.FRAME_SIZE_ERROR, "RST_STREAM of a wrong size")
        self._check_not_idle(stream, "RST_STREAM")
        call = self.calls.get(stream)
        if call is not None:
            call.abandon()
        self._resets.use()

    def _on_window_update(self, flags: int, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(frames.FRAME_SIZE_ERROR, "WINDOW_UPDATE of a wrong size")
        increment = int.from_bytes(payload, "big") & frames.LARGEST_WINDOW
        if not stream:
            self.outbox.widen(increment)
            return
        call = self.calls.get(stream)
        if call is not None:
            self.outbox.widen(increment, call)
        else:
            self._check_not_idle(stream, "WINDOW_UPDATE")

    # What follows from it.

    def _check_not_idle(self, stream: int, kind: str) -> None:
        """Raises ConnectionFault for a stream that was never opened (section 5.1); one that has ended is fine."""
        if not stream & 1 or stream > self._last_stream:
            raise ConnectionFault(frames.PROTOCOL_ERROR, f"{kind} on a stream that is not open")

    def _reset(self, stream: int, code: int) -> None:
        self._resets.use()
        self.outbox.write(frames.reset(stream, code))
        call = self.calls.get(stream)
        if call is not None:
            call.abandon()

    def _close_if_done(self) -> None:
        if not self.calls:
            self.close()

    def _without_preface(self, data: bytes) -> bytes:
        """Takes the part of the preface that came (section 3.4); returns what is behind it."""
        expected, self._preface = self._preface[: len(data)], self._preface[len(data) :]
        if not data.startswith(expected):
            raise ConnectionFault(
                frames.PROTOCOL_ERROR, "this is not HTTP/2; a client without TLS needs prior knowledge"
            )
        return data[len(expected) :]


def _peer(address: Any) -> str:
    """Returns an address as gRPC writes it."""
    if isinstance(address, tuple) and len(address) == 2:
        return f"ipv4:{address[0]}:{address[1]}"
    if isinstance(address, tuple):
        return f"ipv6:%5B{address[0]}%5D:{address[1]}"
    return f"unix:{address or ''}"
