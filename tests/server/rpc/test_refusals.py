import pytest

from server.logs.audit import AuditLog
from server.metrics import Metrics
from server.rpc.refusals import Refusals
from tests.server.logs.reading import events


def test_every_refusal_is_counted_and_those_above_the_rate_are_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    monkeypatch.setattr("server.logs.rate.time.monotonic", lambda: now)
    metrics = Metrics()
    refusals = Refusals(metrics, AuditLog(on=True))
    for tenth in range(1000):
        now = tenth / 10
        refusals.count("token_missing", path="/a/b")
        refusals.count("no_tls")
    assert metrics.refused["token_missing"]._value.get() == 1000
    lines = [line for line in events(caplog, "server.audit") if line["reason"] == "token_missing"]
    assert lines[0]["method"] == "a/b"
    assert len(lines) == 10, "one in ten seconds"
    assert [line.get("not_logged", 0) for line in lines] == [0, *[99] * 9]


def test_a_refusal_is_logged_with_what_is_known(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals(Metrics(), AuditLog(on=True))
    refusals.count("role_insufficient", path="/a/b", caller=lambda: "app", peer="ipv4:127.0.0.1:9")
    refusals.count("handshake_failed")
    assert events(caplog, "server.audit") == [
        {
            "event": "refused",
            "reason": "role_insufficient",
            "method": "a/b",
            "token": "app",
            "peer": "ipv4:127.0.0.1:9",
        },
        {"event": "refused", "reason": "handshake_failed"},
    ]


def test_without_an_audit_log_refusals_are_only_counted(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    Refusals(metrics, AuditLog(on=False)).count("no_tls")
    assert metrics.refused["no_tls"]._value.get() == 1
    assert not caplog.records
