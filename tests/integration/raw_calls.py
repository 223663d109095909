"""An HTTP/2 client that sends frames that no gRPC client would send."""

import contextlib
import socket
import struct
from collections.abc import Iterator, Mapping

from hpack import Encoder
from hyperframe.frame import DataFrame, Frame, HeadersFrame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def greeting(settings: Mapping[int, int] | None = None) -> bytes:
    """Returns the bytes that open a connection."""
    return PREFACE + SettingsFrame(0, settings=dict(settings or {})).serialize()


def headers(path: str | bytes, stream: int = 1, **more: str | bytes) -> bytes:
    """Returns the HEADERS frame of a call without its message; `more` are headers, with `_` for `-`."""
    fields: dict[str, str | bytes] = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    block = _literals(fields)
    first, rest = block[:16_000], [block[start : start + 16_000] for start in range(16_000, len(block), 16_000)]
    frames: list[Frame] = [HeadersFrame(stream, first, flags=[] if rest else ["END_HEADERS"])]
    continued = [raw_frame(9, 4 if part is rest[-1] else 0, stream, part) for part in rest]
    return b"".join([*(frame.serialize() for frame in frames), *continued])


def opened(path: str | bytes, settings: Mapping[int, int] | None = None, **more: str | bytes) -> bytes:
    """Returns the bytes that open a connection and, as its stream 1, a call without its message."""
    return greeting(settings) + headers(path, 1, **more)


def message(content: bytes, stream: int = 1, *, ends: bool = True) -> bytes:
    """Returns the DATA frame of a whole message."""
    data = struct.pack(">BL", 0, len(content)) + content
    return DataFrame(stream, data, flags=["END_STREAM"] if ends else []).serialize()


def raw_frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    """Returns a frame of any kind."""
    return struct.pack(">L", len(content))[1:] + struct.pack(">BBL", kind, flags, stream) + content


@contextlib.contextmanager
def connected(address: str, data: bytes = b"") -> Iterator[socket.socket]:
    """Connects to a server and sends the first bytes of a connection."""
    host, port = address.split(":")
    with socket.socket(socket.AF_UNIX if host == "unix" else socket.AF_INET) as client:
        client.settimeout(20)
        client.connect(port if host == "unix" else (host, int(port)))
        client.sendall(data)
        yield client


def received_until(client: socket.socket, wanted: bytes) -> bytes:
    """Returns the received bytes once they contain `wanted`."""
    received = b""
    while wanted not in received:
        part = client.recv(65536)
        assert part, received
        received += part
    return received


def _literals(fields: Mapping[str, str | bytes]) -> bytes:
    """Returns a header block without table references, so that every stream may use it."""
    encoder = Encoder()
    encoder.header_table_size = 0
    return encoder.encode([(name, value, True) for name, value in fields.items()], huffman=False)
