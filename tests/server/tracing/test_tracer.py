"""The bounds of tracing: calls in a second, spans in the queue, and the time to close."""

import socket
import time
from collections.abc import Iterator

import pytest

from server.call_context import CallContext
from server.setting_types import Address, CollectorAddress
from server.stages import Lap
from server.tracing import tracer as tracer_module
from server.tracing.exporting import CLOSE_SECONDS, QUEUE_SPANS
from server.tracing.tracer import MAX_CALLS, CallTrace, Tracer
from tests.integration.collector import collecting

SAMPLED = (("traceparent", f"00-{'1' * 32}-{'2' * 16}-01"),)


@pytest.fixture
def silent() -> Iterator[CollectorAddress]:
    """The address of a collector that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield CollectorAddress(Address("127.0.0.1", listener.getsockname()[1]), False)


@pytest.fixture
def dropped() -> list[int]:
    return []


@pytest.fixture
def tracer(silent: CollectorAddress, dropped: list[int]) -> Iterator[Tracer]:
    tracer = Tracer(silent, share=0.5, on_dropped=dropped.append)
    yield tracer
    tracer.close()


def call(*metadata: tuple[str, str]) -> CallContext:
    return CallContext.of("/chaja.v1.SearchService/Search", metadata)


def test_no_more_calls_are_traced_in_a_second_than_the_bound(
    tracer: Tracer, dropped: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.tracing.tracer.time.monotonic", lambda: 7.5)
    traces = [tracer.begin(call(*SAMPLED)) for _ in range(MAX_CALLS + 5)]
    assert [trace is not None for trace in traces] == [True] * MAX_CALLS + [False] * 5
    assert sum(dropped) == 5
    monkeypatch.setattr("server.tracing.tracer.time.monotonic", lambda: 8.5)
    assert tracer.begin(call(*SAMPLED)) is not None


def test_the_share_holds_for_calls_without_a_parent(tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracer_module, "MAX_CALLS", 10_000)
    assert 400 < sum(tracer.begin(call()) is not None for _ in range(1000)) < 600
    unsampled = ("traceparent", f"00-{'1' * 32}-{'2' * 16}-00")
    assert not any(tracer.begin(call(unsampled)) for _ in range(100))


def test_a_full_queue_drops_spans_counts_them_and_closes_in_time(
    tracer: Tracer, dropped: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracer_module, "MAX_CALLS", 10_000)
    trace = tracer.begin(call(*SAMPLED))
    assert isinstance(trace, CallTrace)
    monkeypatch.setattr(tracer_module, "MAX_QUERIES", 10_000)
    now = time.perf_counter()
    laps: list[Lap] = [("queue", now, now)]
    for _ in range(QUEUE_SPANS + 100):
        trace.query(laps, attributes={}, batch=None, failed=False)
    assert sum(dropped) == 100
    started = time.monotonic()
    tracer.close()
    assert time.monotonic() - started < CLOSE_SECONDS + 5


def test_the_last_spans_are_sent_at_the_end(dropped: list[int]) -> None:
    with collecting() as collector:
        host, _, port = collector.address.rpartition(":")
        tracer = Tracer(CollectorAddress(Address(host, int(port)), False), share=1.0, on_dropped=dropped.append)
        trace = tracer.begin(call())
        assert trace is not None
        trace.end(code=0, name="OK", reason="", request_bytes=1, response_bytes=2)
        tracer.close()
        assert [span.name for span in collector.spans] == ["chaja.v1.SearchService/Search"]
    assert not dropped
