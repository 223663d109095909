import pytest

from server.logs.access import AccessLog
from server.logs.event import EndedCall
from tests.server.logs.reading import events


def ended(code: str = "OK", reason: str = "") -> EndedCall:
    return EndedCall("chaja.v1.SearchService/Search", code, reason, 0.5, 10, 20, "app", "ipv4:127.0.0.1:9", "id", "")


def write(log: AccessLog, call: EndedCall, *, times: int = 1) -> None:
    for _ in range(times):
        if log.wants(failed=call.code != "OK"):
            log.write(call)


def test_off_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    write(AccessLog("off", 1.0), ended())
    write(AccessLog("off", 1.0), ended("INTERNAL"))
    assert not caplog.records


def test_all_logs_every_call_whole(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    write(AccessLog("all", 0.0), ended("UNAVAILABLE", "NOT_READY"), times=100)
    lines = events(caplog, "server.access")
    assert len(lines) == 100
    assert lines[0] == {
        "event": "call ended",
        "method": "chaja.v1.SearchService/Search",
        "code": "UNAVAILABLE",
        "reason": "NOT_READY",
        "duration_seconds": 0.5,
        "request_bytes": 10,
        "response_bytes": 20,
        "token": "app",
        "peer": "ipv4:127.0.0.1:9",
        "request_id": "id",
    }


def test_sampled_logs_a_share_of_the_successful_calls(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    write(AccessLog("sampled", 0.1), ended(), times=2000)
    assert 100 < len(events(caplog, "server.access")) < 300


def test_sampled_logs_failed_calls_at_a_bounded_rate_for_each_reason(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("server.logs.rate.time.monotonic", lambda: now[0])
    caplog.set_level("INFO")
    log = AccessLog("sampled", 0.0)
    write(log, ended("RESOURCE_EXHAUSTED", "OVERLOADED"), times=500)
    write(log, ended("INTERNAL", "INTERNAL_FAULT"))
    now[0] = 1.0
    write(log, ended("RESOURCE_EXHAUSTED", "OVERLOADED"))
    lines = events(caplog, "server.access")
    assert [line["reason"] for line in lines] == [*["OVERLOADED"] * 10, "INTERNAL_FAULT", "OVERLOADED"]
    assert lines[-1]["not_logged"] == 490
