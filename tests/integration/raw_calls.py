"""The bytes of calls that no gRPC client would make."""

from __future__ import annotations

from server.transport import frames
from server.transport.response import field


def opened(path: str, settings: bytes | None = None) -> bytes:
    """What opens a connection and, as its stream 1, a call whose messages are still to come."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    block = b"".join(field(name.encode(), value.encode()) for name, value in headers.items())
    return b"".join((frames.PREFACE, settings or frames.settings({}), frames.header_frames(block, 1, ends=False)))
