"""HTTP/2 frame by frame."""

from __future__ import annotations

import asyncio
import gzip

import h2.errors
import h2.events
import h2.settings
import pytest

from tests.server.transport.script import (
    EMPTY_SETTINGS,
    PREFACE,
    Script,
    block,
    fields_of,
    frame,
    headers,
    message,
    scripted,
)
from tests.server.transport.serving import SERVICE, Serving, serving, until

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, COMPRESSION_ERROR = 1, 3, 5, 6, 9


async def status(client: Script, fields: list[tuple[str, str]], body: bytes = b"") -> str | None:
    stream = await client.ask(fields, body or message(b"hi"))
    return (await client.trailers(stream)).get("grpc-status")


async def test_an_answer_has_headers_message_and_trailers(client: Script) -> None:
    stream = await client.ask(body=message(b"hello"))
    response = await client.wait(h2.events.ResponseReceived)
    assert fields_of(response) == {
        ":status": "200",
        "content-type": "application/grpc",
        "grpc-accept-encoding": "identity,gzip",
    }
    assert (await client.wait(h2.events.DataReceived)).data == message(b"hello")
    assert await client.trailers(stream) == {"grpc-status": "0"}


async def test_the_dynamic_table_is_followed(client: Script) -> None:
    """h2 indexes whatever it can, so that equal bytes come to mean different headers."""
    for round_ in range(200):
        stream = await client.ask(
            headers("Metadata", **{f"x_{round_ % 7}": str(round_ % 3), "x_each": str(round_)}), message(b"")
        )
        await client.trailers(stream)
        response = await client.wait(h2.events.ResponseReceived)
        assert fields_of(response)[f"x-{round_ % 7}"] == str(round_ % 3)
        assert fields_of(response)["x-each"] == str(round_)
        client.events.clear()


async def test_equal_bytes_mean_what_the_table_says_now(running: Serving, client: Script) -> None:
    """Index 62 is the newest entry: the same block means another value after an entry came in between."""
    never = b"".join(
        b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()
        for name, value in headers("Metadata")
    )
    newest = b"\xbe"
    for number, value in enumerate((b"one", b"two", b"two", b"six")):
        add = b"\x40\x03x-v\x03" + value
        stream = 1 + 4 * number
        body = frame(DATA, 1, stream, message(b""))
        await client.flush(frame(HEADERS, 4, stream, never + add) + body)
        await client.flush(frame(HEADERS, 4, stream + 2, never + newest) + frame(DATA, 1, stream + 2, message(b"")))
        await until(lambda number=number: len(running.methods.contexts) == 2 * number + 2)
        added, referred = running.methods.contexts[-2:]
        assert dict(added.invocation_metadata()) == dict(referred.invocation_metadata()) == {"x-v": value.decode()}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"method": "GET"}, "405"),
        ({"method": "PUT"}, "405"),
        ({"content_type": "text/html"}, "415"),
        ({"content_type": "application/grpc-web"}, "415"),
        ({"content_type": "application/grpc+proto"}, "200"),
        ({"content_type": "application/grpc;charset=utf-8"}, "200"),
    ],
)
async def test_what_is_no_grpc_gets_an_http_status(client: Script, fields: dict[str, str], expected: str) -> None:
    stream = await client.ask(headers(**fields), message(b""))
    await client.trailers(stream)
    response = await client.wait(h2.events.ResponseReceived)
    assert fields_of(response)[":status"] == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (message(b"a"), "0"),
        (message(gzip.compress(b"a", mtime=0), 1), "0"),
        (b"", "12"),
        (message(b"a") * 2, "12"),
        (message(b"abc")[:-1], "13"),
        (message(b"abc")[:3], "13"),
        (message(b"no gzip", 1), "13"),
        (message(gzip.compress(b"a", mtime=0)[:-3], 1), "13"),
        (message(gzip.compress(b"a", mtime=0) + b"more", 1), "13"),
        (message(gzip.compress(bytes(5_000_001)), 1), "8"),
        (b"\0\xff\xff\xff\xff", "8"),
        (b"\2\0\0\0\0", "13"),
    ],
)
async def test_bodies(client: Script, body: bytes, expected: str) -> None:
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, headers(grpc_encoding="gzip"))
    client.h2.send_data(stream, body, end_stream=True)
    await client.flush()
    assert (await client.trailers(stream))["grpc-status"] == expected


async def test_compression_needs_a_known_name(client: Script) -> None:
    body = message(gzip.compress(b"a", mtime=0), 1)
    assert await status(client, headers(), body) == "13"
    stream = await client.ask(headers(grpc_encoding="br"), body)
    trailers = await client.trailers(stream)
    assert trailers["grpc-status"] == "12"
    assert trailers["grpc-accept-encoding"] == "identity,gzip"


async def test_too_large_a_message_is_refused_from_its_prefix(client: Script) -> None:
    stream = await client.ask()
    client.h2.send_data(stream, b"\0\x7f\xff\xff\xff" + bytes(100))
    await client.flush()
    assert (await client.trailers(stream))["grpc-status"] == "8"
    assert (await client.wait(h2.events.StreamReset)).error_code == h2.errors.ErrorCodes.NO_ERROR


@pytest.mark.parametrize("timeout", ["1", "S", "123456789S", "1.5S", "-1S", "1s", ""])
async def test_a_timeout_that_is_none_is_refused(client: Script, timeout: str) -> None:
    assert await status(client, headers(grpc_timeout=timeout)) == "13"


@pytest.mark.parametrize("timeout", ["1H", "99999999H", "1M", "5S", "5000m", "5000000u", "99999999n"])
async def test_timeouts(client: Script, timeout: str) -> None:
    assert await status(client, headers(grpc_timeout=timeout)) == "0"


async def test_metadata_that_is_not_base64_is_refused(client: Script) -> None:
    assert await status(client, headers(x_bin="!!")) == "13"
    assert await status(client, headers(x_bin="AAA=,AA")) == "0"


@pytest.mark.parametrize(
    "fields",
    [
        [*headers(), ("connection", "close")],
        [*headers()[:-2], ("te", "gzip")],
        headers()[1:],
        [*headers(), (":path", "/again")],
        [*headers(), ("Upper", "case")],
        [*headers(), ("x-line", "a\r\nb")],
        [*headers(), ("x-zero", "a\0")],
        [*headers()[:3], (":authority", "test "), *headers()[4:]],
        [*headers(), (":unknown", "a")],
        [("te", "trailers"), *headers()[:4]],
    ],
)
async def test_a_malformed_request_resets_its_stream_only(client: Script, fields: list[tuple[str, str]]) -> None:
    client.h2.config.validate_outbound_headers = False
    client.h2.config.normalize_outbound_headers = False
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, fields)
    await client.flush()
    reset = await client.wait(h2.events.StreamReset)
    assert (reset.stream_id, reset.error_code) == (stream, h2.errors.ErrorCodes.PROTOCOL_ERROR)
    assert await status(client, headers()) == "0"


async def test_padding_priority_and_trailers_are_skipped(client: Script) -> None:
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, headers(), priority_weight=7, priority_depends_on=0, priority_exclusive=True)
    client.h2.send_data(stream, message(b"hello"), pad_length=200)
    client.h2.send_data(stream, b"", pad_length=0)
    client.h2.prioritize(stream, weight=3)
    client.h2.send_headers(stream, [("x-trailer", "ignored")], end_stream=True)
    await client.flush(frame(0xFA, 0xFF, 0, b"unknown"))
    assert (await client.trailers(stream))["grpc-status"] == "0"
    assert (await client.wait(h2.events.DataReceived)).data == message(b"hello")


async def test_a_header_block_may_come_in_pieces(running: Serving, client: Script) -> None:
    encoded = block(x_long="x" * 12_000)
    pieces = (
        frame(HEADERS, 0, 1, encoded[:10])
        + frame(CONTINUATION, 0, 1, b"")
        + frame(CONTINUATION, 0, 1, encoded[10:9000])
    )
    await client.flush(pieces + frame(CONTINUATION, 4, 1, encoded[9000:]) + frame(DATA, 1, 1, message(b"")))
    await until(lambda: running.methods.contexts)
    assert dict(running.methods.contexts[0].invocation_metadata()) == {"x-long": "x" * 12_000}


async def test_ping_is_answered(client: Script) -> None:
    client.h2.ping(b"12345678")
    await client.flush()
    assert (await client.wait(h2.events.PingAckReceived)).ping_data == b"12345678"


async def test_windows_are_respected(client: Script) -> None:
    """The stream's window closes, grows, shrinks below zero by SETTINGS, and opens again."""
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 100})
    await client.flush()
    await client.wait(h2.events.SettingsAcknowledged)
    stream = await client.ask(body=message(bytes(995)))
    assert len((await client.wait(h2.events.DataReceived)).data) == 100
    client.h2.increment_flow_control_window(50, stream)
    await client.flush()
    assert len((await client.wait(h2.events.DataReceived)).data) == 50
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 40})
    await client.flush()
    await client.wait(h2.events.SettingsAcknowledged)
    client.h2.increment_flow_control_window(70, stream)
    await client.flush()
    assert len((await client.wait(h2.events.DataReceived)).data) == 10
    client.h2.increment_flow_control_window(10_000, stream)
    await client.flush()
    assert len((await client.wait(h2.events.DataReceived)).data) == 840
    assert (await client.trailers(stream))["grpc-status"] == "0"


async def test_a_larger_window_is_acknowledged_before_it_is_used(client: Script) -> None:
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
    await client.flush()
    await client.wait(h2.events.SettingsAcknowledged)
    stream = await client.ask(body=message(bytes(100)))
    await client.wait(h2.events.DataReceived)
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 200})
    await client.flush()
    await client.trailers(stream)
    kinds = [type(event) for event in client.events]
    assert kinds.index(h2.events.SettingsAcknowledged) < kinds.index(h2.events.DataReceived)


async def test_the_window_of_the_connection_is_shared_fairly(client: Script) -> None:
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1_000_000})
    await client.flush()
    streams = [await client.ask(body=message(bytes(60_000))) for _ in range(3)]
    got = dict.fromkeys(streams, 0)
    while sum(got.values()) < 65_535:
        event = await client.wait(h2.events.DataReceived)
        got[event.stream_id] += len(event.data)
    client.h2.increment_flow_control_window(10_000_000)
    await client.flush()
    for stream in streams:
        assert (await client.trailers(stream))["grpc-status"] == "0"


async def test_a_large_message_is_let_in_whole(running: Serving, client: Script) -> None:
    stream = await client.ask(body=message(bytes(3_000_000)))
    client.h2.increment_flow_control_window(10_000_000)
    client.h2.increment_flow_control_window(10_000_000, stream)
    await client.flush()
    assert (await client.trailers(stream))["grpc-status"] == "0"
    assert len([event for event in client.events if isinstance(event, h2.events.WindowUpdated)]) < 10


async def test_more_than_the_window_is_an_error(running: Serving, client: Script) -> None:
    stream = await client.ask(headers("Trickle"))
    await client.flush(b"".join(frame(DATA, 0, stream, message(bytes(9000))) for _ in range(8)))
    assert (await client.wait(h2.events.StreamReset)).error_code == h2.errors.ErrorCodes.FLOW_CONTROL_ERROR


async def test_the_deadline_counts_while_the_request_is_awaited(client: Script) -> None:
    stream = await client.ask(headers(grpc_timeout="50m"))
    assert (await client.trailers(stream))["grpc-status"] == "4"


async def test_the_deadline_counts_while_the_answer_waits(client: Script) -> None:
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
    await client.flush()
    stream = await client.ask(headers(grpc_timeout="100m"), message(bytes(1000)))
    assert (await client.trailers(stream))["grpc-status"] == "4"


async def test_more_streams_than_allowed_are_refused() -> None:
    async with serving(max_concurrent_streams=2) as running, scripted(running.port) as client:
        for stream in (1, 3, 5):
            await client.flush(frame(HEADERS, 4, stream, block("Gated")) + frame(DATA, 1, stream, message(b"")))
        await until(lambda: len(running.methods.contexts) == 2)
        await asyncio.sleep(0.05)
        assert len(running.methods.contexts) == 2


async def test_frames_of_closed_streams_are_ignored(client: Script) -> None:
    stream = await client.ask(body=message(b""))
    await client.trailers(stream)
    late = frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1") + frame(RST_STREAM, 0, 1, bytes(4)) + frame(DATA, 1, 1, b"x")
    await client.flush(late)
    assert await status(client, headers()) == "0"


async def test_the_preface_may_come_byte_by_byte(running: Serving) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    request = frame(HEADERS, 4, 1, block()) + frame(DATA, 1, 1, message(b"hello"))
    for byte in PREFACE + EMPTY_SETTINGS + request:
        writer.write(bytes((byte,)))
        await asyncio.sleep(0)
    received = b""
    async with asyncio.timeout(5):
        while b"grpc-status\x010" not in received:
            received += await reader.read(1000)
    assert message(b"hello") in received
    writer.close()
    await writer.wait_closed()


def test_paths() -> None:
    assert dict(headers())[":path"] == f"/{SERVICE}/Echo"
