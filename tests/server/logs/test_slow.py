import pytest

from server.logs.slow import SlowQueryLog
from server.stages import Stage
from tests.server.logs.reading import events

STAGES: dict[Stage, float] = {"tokenize": 0.25, "queue": 1.0, "encode": 0.5}


@pytest.mark.parametrize("shown", [False, True])
def test_a_slow_query_has_its_stages_and_its_text_only_if_allowed(
    caplog: pytest.LogCaptureFixture, shown: bool
) -> None:
    log = SlowQueryLog(1.0, show_texts=shown)
    log.write("내 계좌 1234", STAGES, duration_seconds=1.75, mode="hybrid", hits=None, interpreted="통장")
    (line,) = events(caplog, "server.slow")
    expected = {
        "event": "slow query",
        "duration_seconds": 1.75,
        "tokenize_seconds": 0.25,
        "queue_seconds": 1.0,
        "encode_seconds": 0.5,
        "mode": "hybrid",
        "query_characters": 9,
    }
    assert line == (expected | {"query": "내 계좌 1234", "interpreted_query": "통장"} if shown else expected)


def test_only_queries_from_the_threshold_on_are_slow() -> None:
    log = SlowQueryLog(1.0, show_texts=False)
    assert [log.wants(seconds) for seconds in (0.0, 0.999, 1.0, 5.0)] == [False, False, True, True]


def test_zero_disables_the_log() -> None:
    assert not SlowQueryLog(0.0, show_texts=False).wants(1e9)


def test_slow_queries_are_logged_at_a_bounded_rate(caplog: pytest.LogCaptureFixture) -> None:
    log = SlowQueryLog(1.0, show_texts=False)
    for _ in range(1000):
        log.write("a", STAGES, duration_seconds=2.0)
    assert 10 <= len(caplog.records) < 1000
