import time

from chaja.v1 import Timings
from server.stages import STAGES, Stopwatch


def test_the_stages_add_up_to_the_total_time() -> None:
    started = time.perf_counter()
    stopwatch = Stopwatch()
    for stage in STAGES:
        time.sleep(0.001)
        stopwatch.lap(stage)
    whole = time.perf_counter() - started
    assert list(stopwatch.seconds) == list(STAGES)
    assert 0.005 <= sum(stopwatch.seconds.values()) <= whole


def test_the_protocol_has_the_same_stages() -> None:
    fields = [field.name for field in Timings.DESCRIPTOR.fields if field.message_type is not None]
    assert fields == list(STAGES)
