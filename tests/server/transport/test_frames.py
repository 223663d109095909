"""Frames and headers, without a connection."""

from __future__ import annotations

import urllib.parse
from typing import Any

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.transport import frames, response
from server.transport.frames import ConnectionFault, FrameReader
from server.transport.headers import HeaderReader
from server.transport.messages import Inbox, MessageRefused
from server.transport.metadata import percent_encoded

any_frame = st.tuples(
    st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**31 - 1), st.binary(max_size=300)
)  # fmt: skip


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = [*sorted(place % (len(data) + 1) for place in places), len(data)]
    starts = [0, *ends]
    return [data[start:end] for start, end in zip(starts, ends, strict=False)]


@given(st.lists(any_frame, max_size=10), st.lists(st.integers(0, 4000), max_size=20))
def test_any_split_of_bytes_gives_the_same_frames(sent: list[tuple[int, int, int, bytes]], places: list[int]) -> None:
    reader = FrameReader()
    data = b"".join(frames.frame(*each) for each in sent)
    assert [each for piece in cut(data, places) for each in reader.feed(piece)] == sent


@given(st.lists(st.binary(max_size=300), max_size=10), st.lists(st.integers(0, 4000), max_size=20))
def test_any_split_of_bytes_gives_the_same_messages(sent: list[bytes], places: list[int]) -> None:
    inbox = Inbox("identity", 1000)
    data = b"".join(b"\0" + len(each).to_bytes(4, "big") + each for each in sent)
    for piece in cut(data, places):
        inbox.feed(piece)
    assert inbox.held_bytes == sum(map(len, sent))
    assert [inbox.take() for _ in range(len(inbox.messages))] == sent
    assert inbox.held_bytes == 0
    assert not inbox.cut_short


@given(st.binary(max_size=500))
def test_no_message_is_worse_than_refused(data: bytes) -> None:
    inbox = Inbox("gzip", 100)
    try:
        inbox.feed(data)
    except MessageRefused:
        return
    assert all(len(each) <= 100 for each in inbox.messages)


@given(st.binary(max_size=500))
def test_no_header_block_is_worse_than_a_fault(data: bytes) -> None:
    reader = HeaderReader()
    try:
        first = reader.read(data)
    except ConnectionFault:
        return
    assert reader.read(data) == first or reader._decoder._entries


names = st.sampled_from([b"x-a", b"x-b", b"x-c", b"user-agent", b"grpc-timeout"])
values = st.sampled_from([b"1S", b"2S", b"3S"])
operation: Any = st.one_of(
    st.lists(st.tuples(names, values), max_size=4),
    st.sampled_from([0, 40, 64, 100, 4096]),
)


@given(st.lists(operation, max_size=30))
def test_headers_mean_what_a_plain_decoder_says(operations: list[Any]) -> None:
    """Whatever the table goes through: what is remembered of blocks must not show."""
    encoder, plain, reader = hpack.Encoder(), hpack.Decoder(), HeaderReader()
    base = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a/b"), (b"content-type", b"application/grpc")]
    for each in operations:
        if isinstance(each, int):
            if each != encoder.header_table_size:  # hpack's encoder forgets a change that is followed by none.
                encoder.header_table_size = each
            continue
        block = encoder.encode([*base, *each])
        expected = [(name.decode(), value.decode()) for name, value in plain.decode(block, raw=True)]
        request = reader.read(block)
        assert list(request.metadata) == [pair for pair in expected if pair[0] in ("x-a", "x-b", "x-c", "user-agent")]


@given(st.lists(st.tuples(names, st.binary(max_size=400).map(lambda raw: raw.replace(b"\0", b"x"))), max_size=5))
def test_fields_are_what_a_decoder_reads(sent: list[tuple[bytes, bytes]]) -> None:
    block = b"".join(response.field(name, value) for name, value in sent)
    assert list(hpack.Decoder().decode(block, raw=True)) == sent


@pytest.mark.parametrize("length", [0, 126, 127, 128, 254, 255, 16_000, 70_000])
def test_lengths(length: int) -> None:
    decoder = hpack.Decoder(max_header_list_size=100_000)
    assert list(decoder.decode(response.field(b"a", b"v" * length), raw=True)) == [(b"a", b"v" * length)]


@given(st.text())
def test_messages_survive_percent_encoding(text: str) -> None:
    encoded = percent_encoded(text)
    assert encoded.isascii()
    assert encoded.decode().isprintable() or not encoded
    assert urllib.parse.unquote(encoded.decode()) == text.encode("utf-8", "replace").decode("utf-8", "replace")


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 50_000])
def test_large_blocks_are_continued(size: int) -> None:
    parts = list(FrameReader().feed(frames.header_frames(bytes(size), 3, ends=True)))
    assert b"".join(payload for *_, payload in parts) == bytes(size)
    assert [kind for kind, *_ in parts] == [frames.HEADERS, *[frames.CONTINUATION] * (len(parts) - 1)]
    assert [bool(flags & frames.END_HEADERS) for _, flags, _, _ in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[0][1] & frames.END_STREAM
