"""HTTP/2 frames: their kinds, flags and layout (RFC 9113, sections 4 and 6)."""

from __future__ import annotations

from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_BYTES = 9
LARGEST_PAYLOAD_BYTES = 16_384
"""Until a peer allows more; we never do."""

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITY = 0x4, 0x8, 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 1, 2, 3, 4
CANCEL = 8


class FrameError(Exception):
    """What came is not HTTP/2."""


def frame(kind: int, flags: int, stream: int, payload: bytes | memoryview = b"") -> bytes:
    """Returns a frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def settings(values: dict[int, int]) -> bytes:
    """Returns a SETTINGS frame."""
    payload = b"".join(name.to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in values.items())
    return frame(SETTINGS, 0, 0, payload)


def parse_settings(payload: bytes) -> dict[int, int]:
    """Returns the values of a SETTINGS frame."""
    pairs = (payload[start : start + 6] for start in range(0, len(payload) - 5, 6))
    return {int.from_bytes(pair[:2], "big"): int.from_bytes(pair[2:], "big") for pair in pairs}


def content(flags: int, payload: bytes) -> bytes:
    """Returns the payload of a DATA or HEADERS frame without padding and priority.

    Raises:
        FrameError: The padding is longer than the frame.
    """
    if flags & PADDED:
        if not payload or payload[0] >= len(payload):
            raise FrameError("padding that is longer than its frame")
        payload = payload[1 : len(payload) - payload[0]]
    return payload[5:] if flags & PRIORITY else payload


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Yields kind, flags, stream and payload of each frame that is whole by now.

        Raises:
            FrameError: A frame is larger than we allow: the peer does not speak HTTP/2.
        """
        data = self._rest + data if self._rest else data
        start, length = 0, len(data)
        while length - start >= HEADER_BYTES:
            size = (data[start] << 16) | (data[start + 1] << 8) | data[start + 2]
            if size > LARGEST_PAYLOAD_BYTES:
                raise FrameError(f"a frame of {size} bytes")
            end = start + HEADER_BYTES + size
            if end > length:
                break
            stream = int.from_bytes(data[start + 5 : start + 9], "big") & 0x7FFFFFFF
            yield data[start + 3], data[start + 4], stream, data[start + HEADER_BYTES : end]
            start = end
        self._rest = data[start:]
