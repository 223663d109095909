"""What a client does wrong, frame by frame: it costs it the stream or the connection, and nobody else anything."""

from __future__ import annotations

import h2.events
import pytest

from tests.server.transport.script import (
    PREFACE,
    Script,
    answer_to,
    block,
    frame,
    goaway_for,
    headers,
    message,
)
from tests.server.transport.serving import Serving, until

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, COMPRESSION_ERROR = 1, 3, 5, 6, 9

HELLO = frame(HEADERS, 4, 1, block("Gated"))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
        (frame(DATA, 0, 1, b"x"), PROTOCOL_ERROR),
        (frame(DATA, 0, 2, b"x"), PROTOCOL_ERROR),
        (HELLO + frame(DATA, 8, 1, b"\5abcd"), PROTOCOL_ERROR),
        (HELLO + frame(DATA, 8, 1, b""), PROTOCOL_ERROR),
        (frame(DATA, 0, 1, bytes(16_385)), FRAME_SIZE_ERROR),
        (frame(HEADERS, 4, 0, block()), PROTOCOL_ERROR),
        (frame(HEADERS, 4, 2, block()), PROTOCOL_ERROR),
        (frame(HEADERS, 0x24, 1, b"abc"), FRAME_SIZE_ERROR),
        (frame(HEADERS, 4, 1, b"\xff\xff\xff\xff\xff\xff"), COMPRESSION_ERROR),
        (frame(HEADERS, 4, 1, b"\xc0"), COMPRESSION_ERROR),
        (frame(HEADERS, 4, 1, b"\x80"), COMPRESSION_ERROR),
        (frame(HEADERS, 4, 1, b"\x3f\xff\xff\x03"), COMPRESSION_ERROR),
        (frame(HEADERS, 4, 1, b"\x00\x7f"), COMPRESSION_ERROR),
        (frame(HEADERS, 0, 1, block()) + frame(PING, 0, 0, bytes(8)), PROTOCOL_ERROR),
        (frame(HEADERS, 0, 1, block()) + frame(CONTINUATION, 4, 3, b""), PROTOCOL_ERROR),
        (frame(CONTINUATION, 4, 1, b""), PROTOCOL_ERROR),
        (frame(PRIORITY, 0, 0, bytes(5)), PROTOCOL_ERROR),
        (frame(RST_STREAM, 0, 1, bytes(4)), PROTOCOL_ERROR),
        (HELLO + frame(RST_STREAM, 0, 1, bytes(3)), FRAME_SIZE_ERROR),
        (frame(RST_STREAM, 0, 0, bytes(4)), PROTOCOL_ERROR),
        (frame(SETTINGS, 0, 1), PROTOCOL_ERROR),
        (frame(SETTINGS, 0, 0, bytes(5)), FRAME_SIZE_ERROR),
        (frame(SETTINGS, 1, 0, bytes(6)), FRAME_SIZE_ERROR),
        (frame(SETTINGS, 0, 0, b"\0\2\0\0\0\2"), PROTOCOL_ERROR),
        (frame(SETTINGS, 0, 0, b"\0\4\x80\0\0\0"), FLOW_CONTROL_ERROR),
        (frame(SETTINGS, 0, 0, b"\0\5\0\0\0\1"), PROTOCOL_ERROR),
        (frame(PUSH_PROMISE, 4, 1, bytes(4)), PROTOCOL_ERROR),
        (frame(PING, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
        (frame(PING, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (frame(GOAWAY, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
        (frame(WINDOW_UPDATE, 0, 0, bytes(4)), PROTOCOL_ERROR),
        (frame(WINDOW_UPDATE, 0, 0, bytes(3)), FRAME_SIZE_ERROR),
        (frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), FLOW_CONTROL_ERROR),
        (frame(WINDOW_UPDATE, 0, 1, bytes(4)), PROTOCOL_ERROR),
        (HELLO + frame(WINDOW_UPDATE, 0, 1, b"\x7f\xfe\0\0") + frame(SETTINGS, 0, 0, b"\0\4\x7f\xff\xff\xff"), 3),
    ],
)
async def test_what_breaks_the_connection(running: Serving, data: bytes, code: int) -> None:
    assert (await goaway_for(running.port, data))[0] == code
    await until(lambda: not running.server._host.connections)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nhost: test\r\n\r\n",
        b"\x16\x03\x01\x02\0\1\0\1\xfc\3\3",
        PREFACE[:-1] + b"x",
        PREFACE + frame(PING, 0, 0, bytes(8)),
        PREFACE + frame(SETTINGS, 1, 0),
    ],
)
async def test_what_is_no_http2(running: Serving, data: bytes) -> None:
    assert (await answer_to(running.port, data))[0] == PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (frame(WINDOW_UPDATE, 0, 1, bytes(4)), PROTOCOL_ERROR),
        (frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff"), FLOW_CONTROL_ERROR),
        (frame(DATA, 1, 1, message(b"")) + frame(DATA, 0, 1, b"x"), STREAM_CLOSED),
        (frame(HEADERS, 4, 1, block("Gated")), PROTOCOL_ERROR),
        (frame(PRIORITY, 0, 1, bytes(4)), FRAME_SIZE_ERROR),
    ],
)
async def test_what_breaks_one_stream(client: Script, frames: bytes, code: int) -> None:
    await client.ask(headers("Gated"))
    await client.flush(frames)
    assert (await client.wait(h2.events.StreamReset)).error_code == code
    client.h2.close_connection()  # Its table does not know of the raw block.
