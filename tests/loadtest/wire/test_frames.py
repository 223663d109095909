from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.wire import frames
from loadtest.wire.frames import FrameError, FrameReader, content, frame, parse_settings, settings

FRAMES = st.lists(
    st.tuples(
        st.integers(0, 255),
        st.integers(0, 255),
        st.integers(0, 2**31 - 1),
        st.binary(max_size=300) | st.just(b"x" * 16384),
    ),
    max_size=8,
)


def _read(pieces: Iterable[bytes]) -> list[tuple[int, int, int, bytes]]:
    reader = FrameReader()
    return [each for piece in pieces for each in reader.feed(piece)]


@given(FRAMES, st.data())
def test_the_same_frames_come_out_however_the_bytes_are_cut(
    sent: list[tuple[int, int, int, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(frame(*each) for each in sent)
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20))), len(stream)]
    assert _read(stream[start:end] for start, end in itertools.pairwise(cuts)) == sent


def test_frames_come_out_byte_by_byte() -> None:
    sent = [(frames.DATA, 1, 3, b"four"), (frames.PING, 0, 0, b"12345678"), (frames.SETTINGS, 1, 0, b"")]
    stream = b"".join(frame(*each) for each in sent)
    assert _read(bytes((byte,)) for byte in stream) == sent


def test_the_reserved_bit_of_the_stream_is_ignored() -> None:
    assert _read([b"\0\0\0" + bytes((frames.DATA, 0)) + b"\x80\0\0\x05"]) == [(frames.DATA, 0, 5, b"")]


def test_a_frame_of_the_largest_size_is_read_and_a_larger_one_refused_by_its_header_alone() -> None:
    largest = frame(frames.DATA, 0, 1, b"x" * 16_384)
    assert len(_read([largest])) == 1
    with pytest.raises(FrameError, match="16385 bytes"):
        _read([largest, (16_385).to_bytes(3, "big") + b"\0\0\0\0\0\1"])


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46\0\0", b"SSH-2.0-x\r\n"]
)
def test_other_protocols_are_refused(said: bytes) -> None:
    with pytest.raises(FrameError):
        _read([said])


@given(st.binary(max_size=50), st.integers(0, 255), st.binary(min_size=5, max_size=5))
def test_padding_and_priority_are_taken_off(payload: bytes, pad: int, priority: bytes) -> None:
    padded = bytes((pad,)) + payload + bytes(pad)
    assert content(0, payload) == payload
    assert content(frames.PADDED, padded) == payload
    assert content(frames.PRIORITY, priority + payload) == payload
    both = bytes((pad,)) + priority + payload + bytes(pad)
    assert content(frames.PADDED | frames.PRIORITY, both) == payload


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x05abcd", b"\xff" + bytes(10)])
def test_padding_that_is_longer_than_its_frame_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError, match="padding"):
        content(frames.PADDED, payload)


@given(st.dictionaries(st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)))
def test_settings_are_read_as_they_are_written(values: dict[int, int]) -> None:
    ((kind, flags, stream, payload),) = _read([settings(values)])
    assert (kind, flags, stream) == (frames.SETTINGS, 0, 0)
    assert parse_settings(payload) == values
