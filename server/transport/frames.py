"""HTTP/2 frames: their kinds, flags and layout, and what breaks them (RFC 9113, sections 4, 6 and 7)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_BYTES = 9
LARGEST_PAYLOAD_BYTES = 16_384
"""Of what we take, and of what we send until the client allows more: we never use more."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITIZED = 0x4, 0x8, 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 5, 6, 7, 8, 9
ENHANCE_YOUR_CALM = 11

LARGEST_WINDOW = LAST_STREAM = 2**31 - 1

_HEADER = struct.Struct(">LBL")
"""Length and kind in four bytes, flags, stream."""
_SETTING = struct.Struct(">HL")


class ConnectionFault(Exception):
    """The client breaks a rule of the whole connection, which ends with it (section 5.4.1)."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class StreamFault(Exception):
    """The client breaks a rule of one stream, which is reset; others go on (section 5.4.2)."""

    def __init__(self, stream: int, code: int, why: str) -> None:
        super().__init__(why)
        self.stream = stream
        self.code = code


def frame_header(kind: int, flags: int, stream: int, payload_bytes: int) -> bytes:
    """Returns what stands before a frame's payload."""
    return _HEADER.pack(payload_bytes << 8 | kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes | memoryview = b"") -> bytes:
    """Returns a frame."""
    return b"".join((_HEADER.pack(len(payload) << 8 | kind, flags, stream), payload))


def settings(values: dict[int, int]) -> bytes:
    """Returns a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(name, value) for name, value in values.items()))


def window_update(stream: int, increment: int) -> bytes:
    """Returns a WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def reset(stream: int, code: int) -> bytes:
    """Returns a RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def goaway(last_stream: int, code: int, why: str = "") -> bytes:
    """Returns a GOAWAY frame."""
    return frame(GOAWAY, 0, 0, last_stream.to_bytes(4, "big") + code.to_bytes(4, "big") + why.encode("utf-8"))


def header_frames(block: bytes, stream: int, *, ends: bool) -> bytes:
    """Returns a HEADERS frame, with CONTINUATION frames after it where the block needs them (section 6.10)."""
    end = END_STREAM if ends else 0
    if len(block) <= LARGEST_PAYLOAD_BYTES:
        return frame(HEADERS, END_HEADERS | end, stream, block)
    parts = [block[start : start + LARGEST_PAYLOAD_BYTES] for start in range(0, len(block), LARGEST_PAYLOAD_BYTES)]
    frames = [frame(HEADERS, end, stream, parts[0])]
    frames += [frame(CONTINUATION, 0, stream, part) for part in parts[1:-1]]
    return b"".join((*frames, frame(CONTINUATION, END_HEADERS, stream, parts[-1])))


def parse_settings(payload: bytes) -> dict[int, int]:
    """Returns the values of a SETTINGS frame (section 6.5).

    Raises:
        ConnectionFault: One of them is out of its range, or the frame is cut short.
    """
    if len(payload) % _SETTING.size:
        raise ConnectionFault(FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes")
    values = dict(_SETTING.iter_unpack(payload))
    if values.get(ENABLE_PUSH, 0) > 1:
        raise ConnectionFault(PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
    if values.get(INITIAL_WINDOW_SIZE, 0) > LARGEST_WINDOW:
        raise ConnectionFault(FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE is too large")
    if not LARGEST_PAYLOAD_BYTES <= values.get(MAX_FRAME_SIZE, LARGEST_PAYLOAD_BYTES) < 2**24:
        raise ConnectionFault(PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of its range")
    return values


def content(flags: int, payload: bytes) -> bytes:
    """Returns the payload of a DATA or HEADERS frame without padding and priority (sections 6.1 and 6.2).

    Raises:
        ConnectionFault: The padding is longer than the frame, or the priority is not all there.
    """
    if flags & PADDED:
        if not payload or payload[0] >= len(payload):
            raise ConnectionFault(PROTOCOL_ERROR, "padding that is longer than its frame")
        payload = payload[1 : len(payload) - payload[0]]
    if flags & PRIORITIZED:
        if len(payload) < 5:
            raise ConnectionFault(FRAME_SIZE_ERROR, "HEADERS without the priority that they announce")
        payload = payload[5:]
    return payload


class FrameReader:
    """Cuts a stream of bytes into frames.

    Attributes:
        paused: Whether it keeps what it has for a later `feed`, even between two frames of one.
    """

    def __init__(self) -> None:
        self.paused = False
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Yields kind, flags, stream and payload of each frame that is whole by now. It has to be run to its end.

        Raises:
            ConnectionFault: A frame is larger than we allow.
        """
        data = self._rest + data if self._rest else data
        start, length, unpack = 0, len(data), _HEADER.unpack_from
        while length - start >= HEADER_BYTES and not self.paused:
            size_and_kind, flags, stream = unpack(data, start)
            size = size_and_kind >> 8
            if size > LARGEST_PAYLOAD_BYTES:
                raise ConnectionFault(FRAME_SIZE_ERROR, f"a frame of {size} bytes")
            payload_start = start + HEADER_BYTES
            end = payload_start + size
            if end > length:
                break
            yield size_and_kind & 0xFF, flags, stream & LAST_STREAM, data[payload_start:end]
            start = end
        self._rest = data[start:]
