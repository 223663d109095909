"""One HTTP/2 connection, as an asyncio protocol: streams, flow control, and what the server says of the connection."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from hpack.exceptions import HPACKError

from loadtest import codes
from loadtest.clock import now_ns
from loadtest.wire import frames, status
from loadtest.wire.call import WireCall
from loadtest.wire.frames import FrameError, FrameReader, frame
from loadtest.wire.headers import HeaderReader

STREAM_WINDOW_BYTES = 16 * 1024 * 1024
CONNECTION_WINDOW_BYTES = 256 * 1024 * 1024
FIRST_WINDOW_BYTES = 65_535
LAST_STREAM = 2**30
"""After it calls go over a new connection; the other half of the numbers is left to those that wait for a stream."""

LARGEST_BLOCK_BYTES = 1024 * 1024


class Connection(asyncio.Protocol):
    """Starts calls and ends them; once it is lost or the server wants no more of it, it takes no new ones.

    Attributes:
        usable: Whether it takes new calls.
        ready: Done when the server's settings are there; an error if it turns out not to speak HTTP/2.
        lost: Done when there is nothing left of it.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.usable = True
        self.ready: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self._why = ""
        self._reader = FrameReader()
        self._headers = HeaderReader()
        self._calls: dict[int, WireCall] = {}
        self._waiting: deque[WireCall] = deque()
        self._next_stream = 1
        self._most_streams = 2**31
        self._window = FIRST_WINDOW_BYTES
        self._stream_window = FIRST_WINDOW_BYTES
        self._blocked: deque[WireCall] = deque()
        self._taken_bytes = 0
        self._block: tuple[int, int, bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets: no dynamic table, and windows so large that they hold nobody up."""
        self._transport = cast(asyncio.Transport, transport)
        # Whatever a peer does not read piles up here; the number of calls in flight bounds it.
        self._transport.set_write_buffer_limits(high=2**30)
        ours = {frames.HEADER_TABLE_SIZE: 0, frames.ENABLE_PUSH: 0, frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES}
        self._write(
            frames.PREFACE
            + frames.settings(ours)
            + frame(frames.WINDOW_UPDATE, 0, 0, CONNECTION_WINDOW_BYTES.to_bytes(4, "big"))
        )

    def start(self, call: WireCall) -> None:
        """Sends a call, or lets it wait while the server takes no more streams at once."""
        call.connection = self
        if len(self._calls) >= self._most_streams:
            self._waiting.append(call)
            return
        stream = call.stream = self._next_stream
        self._next_stream += 2
        if self._next_stream > LAST_STREAM:
            self.usable = False
        self._calls[stream] = call
        body = call.body
        head = frame(frames.HEADERS, frames.END_HEADERS, stream, call.headers)
        if len(body) <= frames.LARGEST_PAYLOAD_BYTES and len(body) <= self._window and len(body) <= self._stream_window:
            self._window -= len(body)
            self._write(head + frame(frames.DATA, frames.END_STREAM, stream, body))
            return
        call.unsent, call.window = memoryview(body), self._stream_window
        self._write(head)
        self._blocked.append(call)
        self._send_blocked()

    def cancel(self, call: WireCall) -> None:
        """Tells the server that nobody waits for a call any more."""
        if self._calls.pop(call.stream, None) is not None:
            self._reset(call)
            self._make_room()

    def close(self, why: str = "") -> None:
        """Closes the connection; calls on it end as UNAVAILABLE."""
        self.usable = False
        self._why = self._why or why
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends every call that was on it."""
        self.usable = False
        at_ns = now_ns()
        if not self.ready.done():
            self._not_ready(exc or ConnectionResetError("the connection was closed"))
        self.lost.set_result(None)
        calls = [*self._calls.values(), *self._waiting]
        self._calls.clear()
        self._waiting.clear()
        self._blocked.clear()
        for call in calls:
            call.end(codes.UNAVAILABLE, at_ns, f"connection lost: {self._why or exc or 'closed by the server'}")

    def data_received(self, data: bytes) -> None:
        """Takes what came. It was all there at this moment, whatever the time that it takes to be read."""
        at_ns = now_ns()
        try:
            for kind, flags, stream, payload in self._reader.feed(data):
                if kind == frames.DATA:
                    self._on_data(flags, stream, payload, at_ns)
                elif kind in (frames.HEADERS, frames.CONTINUATION):
                    self._on_headers(kind, flags, stream, payload, at_ns)
                else:
                    self._on_control(kind, flags, stream, payload, at_ns)
        except (FrameError, HPACKError, IndexError) as error:
            if not self.ready.done():
                self._not_ready(ConnectionError(f"it does not speak HTTP/2, or wants TLS ({error})"))
            self.close(f"what came is not HTTP/2: {error}")

    def _on_data(self, flags: int, stream: int, payload: bytes, at_ns: int) -> None:
        self._taken_bytes += len(payload)
        if self._taken_bytes > CONNECTION_WINDOW_BYTES // 2:
            self._write(frame(frames.WINDOW_UPDATE, 0, 0, self._taken_bytes.to_bytes(4, "big")))
            self._taken_bytes = 0
        call = self._calls.get(stream)
        if call is None:
            return
        if not call.take(frames.content(frames.PADDED, payload) if flags & frames.PADDED else payload):
            code, message = call.code_of_nonsense()
            if not flags & frames.END_STREAM:
                self._reset(call)
            self._end(stream, call, code, at_ns, message)
        elif flags & frames.END_STREAM:
            code, message = call.code_without_status()
            self._end(stream, call, code, at_ns, message)
        else:
            call.taken_bytes += len(payload)
            if call.taken_bytes > STREAM_WINDOW_BYTES // 2:
                self._write(frame(frames.WINDOW_UPDATE, 0, stream, call.taken_bytes.to_bytes(4, "big")))
                call.taken_bytes = 0

    def _on_headers(self, kind: int, flags: int, stream: int, payload: bytes, at_ns: int) -> None:
        if flags & (frames.PADDED | frames.PRIORITY) and kind == frames.HEADERS:
            payload = frames.content(flags, payload)
        if kind == frames.CONTINUATION or not flags & frames.END_HEADERS:
            whole = self._join(kind, flags, stream, payload)
            if whole is None:
                return
            flags, payload = whole
        headers = self._headers.read(payload)
        call = self._calls.get(stream)
        if call is None:
            return
        if headers.http_status:
            call.http_status = headers.http_status
        if flags & frames.END_STREAM:
            if headers.grpc_status is None:
                code, message = call.code_without_status()
            else:
                code, message = call.code(headers.grpc_status), headers.message
            self._end(stream, call, code, at_ns, message)

    def _join(self, kind: int, flags: int, stream: int, payload: bytes) -> tuple[int, bytes] | None:
        """Keeps the pieces of a header block; returns the first one's flags and the block once it is whole."""
        if kind == frames.HEADERS:
            self._block = (stream, flags, payload)
            return None
        if self._block is None or self._block[0] != stream:
            raise FrameError("a header block goes on that was not begun")
        _, first_flags, begun = self._block
        block = begun + payload
        if len(block) > LARGEST_BLOCK_BYTES:
            raise FrameError(f"a header block of more than {LARGEST_BLOCK_BYTES} bytes")
        if flags & frames.END_HEADERS:
            self._block = None
            return first_flags, block
        self._block = (stream, first_flags, block)
        return None

    def _on_control(self, kind: int, flags: int, stream: int, payload: bytes, at_ns: int) -> None:
        if kind == frames.SETTINGS and not flags & frames.ACK:
            self._on_settings(frames.parse_settings(payload))
        elif kind == frames.PING and not flags & frames.ACK:
            self._write(frame(frames.PING, frames.ACK, 0, payload))
        elif kind == frames.WINDOW_UPDATE:
            self._on_window_update(stream, int.from_bytes(payload, "big") & 0x7FFFFFFF)
        elif kind == frames.RST_STREAM and (call := self._calls.get(stream)):
            error = int.from_bytes(payload, "big")
            call.unsent = b""
            self._end(stream, call, status.of_reset(error), at_ns, f"the server reset the stream: error {error}")
        elif kind == frames.GOAWAY:
            self._on_goaway(int.from_bytes(payload[:4], "big") & 0x7FFFFFFF, at_ns)

    def _on_goaway(self, last: int, at_ns: int) -> None:
        """Ends what the server will not answer; the connection is closed when the rest has its answers."""
        self.usable = False
        given_up = [call for number, call in self._calls.items() if number > last]
        for call in given_up:
            del self._calls[call.stream]
        given_up += self._waiting
        self._waiting.clear()
        for call in given_up:
            call.end(codes.UNAVAILABLE, at_ns, "the server is going away")
        self._make_room()

    def _on_settings(self, theirs: dict[int, int]) -> None:
        self._most_streams = theirs.get(frames.MAX_CONCURRENT_STREAMS, self._most_streams)
        if frames.INITIAL_WINDOW_SIZE in theirs:
            for call in self._blocked:
                call.window += theirs[frames.INITIAL_WINDOW_SIZE] - self._stream_window
            self._stream_window = theirs[frames.INITIAL_WINDOW_SIZE]
        self._write(frame(frames.SETTINGS, frames.ACK, 0))
        if not self.ready.done():
            self.ready.set_result(None)
        self._send_blocked()
        self._start_waiting()

    def _on_window_update(self, stream: int, increment: int) -> None:
        if stream == 0:
            self._window += increment
        elif call := self._calls.get(stream):
            call.window += increment
        if self._blocked:
            self._send_blocked()

    def _send_blocked(self) -> None:
        """Sends as much of large requests as the server takes."""
        for _ in range(len(self._blocked)):
            call = self._blocked.popleft()
            while call.unsent and not call.ended:
                size = min(len(call.unsent), self._window, call.window, frames.LARGEST_PAYLOAD_BYTES)
                if size <= 0:
                    self._blocked.append(call)
                    break
                part, call.unsent = call.unsent[:size], call.unsent[size:]
                self._window -= size
                call.window -= size
                self._write(frame(frames.DATA, 0 if call.unsent else frames.END_STREAM, call.stream, part))

    def _start_waiting(self) -> None:
        while self._waiting and len(self._calls) < self._most_streams:
            call = self._waiting.popleft()
            if not call.ended:
                self.start(call)

    def _end(self, stream: int, call: WireCall, code: int, at_ns: int, message: str) -> None:
        del self._calls[stream]
        if call.unsent:  # The answer came before the whole request was sent; now the rest never will be.
            self._reset(call)
        if self._waiting or not self.usable:
            # Before the call's end is told, upon which the next one is often sent, which must not overtake these.
            self._make_room()
        call.end(code, at_ns, message)

    def _reset(self, call: WireCall) -> None:
        call.unsent = b""
        self._write(frame(frames.RST_STREAM, 0, call.stream, frames.CANCEL.to_bytes(4, "big")))

    def _make_room(self) -> None:
        """Lets the next calls have the place of one that ended; with the last one, an unusable connection ends."""
        self._start_waiting()
        if not (self.usable or self._calls or self._waiting):
            self.close()

    def _not_ready(self, error: Exception) -> None:
        self.ready.set_exception(error)
        self.ready.exception()  # Nobody may be waiting for it, which is no reason for a warning.

    def _write(self, data: bytes) -> None:
        self._transport.write(data)
