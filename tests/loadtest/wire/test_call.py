from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import codes
from loadtest.codes import CODES
from loadtest.wire.call import WireCall


def _call(*messages: bytes) -> WireCall:
    return WireCall(b"", messages, lambda call, code, at_ns: None, 0)


def test_the_body_has_each_message_behind_its_length() -> None:
    assert _call(b"", b"abc").body == b"\0\0\0\0\0" + b"\0\0\0\0\3abc"
    assert _call(b"x" * 300).body[:5] == b"\0\0\0\1\x2c"


@given(st.lists(st.binary(max_size=400), max_size=6), st.data())
def test_the_same_messages_come_out_however_they_are_cut(messages: list[bytes], data: st.DataObject) -> None:
    body = _call(*messages).body
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=20))), len(body)]
    call = _call()
    assert all(call.take(body[start:end]) for start, end in itertools.pairwise(cuts))
    assert call.answers == messages
    assert {type(answer) for answer in call.answers} <= {bytes}
    assert call.code(codes.OK) == codes.OK


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=4), st.data())
def test_half_a_message_at_the_end_is_an_internal_error(messages: list[bytes], data: st.DataObject) -> None:
    body = _call(*messages).body
    lost = data.draw(st.integers(1, len(messages[-1]) + 4))
    call = _call()
    for byte in body[:-lost]:
        assert call.take(bytes((byte,)))
    assert call.answers == messages[:-1]
    assert call.code(codes.OK) == codes.INTERNAL
    assert call.code(codes.UNAVAILABLE) == codes.UNAVAILABLE


@pytest.mark.parametrize("first", [b"", b"\0\0\0\0\1x", b"\0\0\0\0\2x"])
def test_a_compressed_message_is_refused(first: bytes) -> None:
    call = _call()
    assert call.take(first)
    if first.endswith(b"\2x"):
        assert call.take(b"y")
    assert not call.take(b"\1\0\0\0\1x")


def test_a_large_message_is_put_together_in_a_time_that_grows_with_its_size_only() -> None:
    message = bytes(64 * 1024 * 1024)
    body = _call(message).body
    call = _call()
    started = time.perf_counter()
    for start in range(0, len(body), 16_384):
        assert call.take(body[start : start + 16_384])
    assert time.perf_counter() - started < 2
    assert call.answers == [message]


def test_only_the_first_end_is_told() -> None:
    told: list[tuple[int, int, str]] = []
    call = WireCall(b"", [b"x"], lambda call, code, at_ns: told.append((code, at_ns, call.message)), 0)
    call.end(codes.INTERNAL, 1, "first")
    call.end(codes.OK, 2)
    assert told == [(codes.INTERNAL, 1, "first")]
    assert call.ended


def test_answers_are_there_when_the_end_is_told_and_not_kept_longer() -> None:
    told: list[list[bytes]] = []
    call = WireCall(b"", [b"x"], lambda call, code, at_ns: told.append(call.answers), 0)
    call.take(b"\0\0\0\0\1y\0\0")
    call.end(codes.OK, 1)
    assert told == [[b"y"]]
    assert (call.answers, call.body) == ([], b"")


@pytest.mark.parametrize(("sent", "code"), [(0, "OK"), (16, "UNAUTHENTICATED"), (17, "UNKNOWN"), (-1, "UNKNOWN")])
def test_a_number_that_is_no_code_is_unknown(sent: int, code: str) -> None:
    assert CODES[_call().code(sent)] == code


@pytest.mark.parametrize(
    ("http", "code"),
    [
        (0, "UNKNOWN"),
        (200, "UNKNOWN"),
        (400, "INTERNAL"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "UNIMPLEMENTED"),
        (429, "UNAVAILABLE"),
        (500, "UNKNOWN"),
        (502, "UNAVAILABLE"),
        (503, "UNAVAILABLE"),
        (504, "UNAVAILABLE"),
    ],
)
def test_without_a_grpc_status_the_http_status_decides(http: int, code: str) -> None:
    call = _call()
    call.http_status = http
    found, message = call.code_without_status()
    assert CODES[found] == code
    assert message == ("the answer has no grpc-status" if http in (0, 200) else f"HTTP status {http}")
