import pytest

from server.logs.audit import ACTION_OF, AuditLog
from server.logs.event import EndedCall
from server.security.access import ROLE_OF
from tests.server.logs.reading import events

UPSERT = "chaja.v1.CatalogService/UpsertDocuments"


def ended(method: str) -> EndedCall:
    return EndedCall(method, "OK", "", 0.5, 10, 20, "app", "ipv4:127.0.0.1:9", "id", "")


def test_the_methods_that_change_something_are_logged() -> None:
    audit = AuditLog(on=True)
    reading = {"GetDocument", "ListDocuments", "ListPromotions", "WatchChanges"}
    changing = {path[1:] for path, role in ROLE_OF.items() if role != "search" and path.split("/")[2] not in reading}
    assert changing == set(ACTION_OF)
    assert {path[1:] for path in ROLE_OF if audit.wants(path[1:])} == changing


def test_a_call_is_one_line_with_counts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    AuditLog(on=True).call(ended(UPSERT), {"changed": 30, "unchanged": 2, "failed": 1})
    (line,) = events(caplog, "server.audit")
    assert (line["event"], line["token"], line["changed"], line["failed"]) == ("write", "app", 30, 1)


def test_a_reload_that_no_call_asked_for_names_its_source(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    AuditLog(on=True).reloaded(source="SIGHUP", failed=True)
    assert events(caplog, "server.audit") == [{"event": "reload", "source": "SIGHUP", "result": "failed"}]


def test_calls_are_logged_at_a_bounded_rate_for_each_token(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("server.logs.rate.time.monotonic", lambda: now[0])
    caplog.set_level("INFO")
    audit = AuditLog(on=True)
    for _ in range(250):
        audit.call(ended(UPSERT), {})
    audit.call(ended(UPSERT)._replace(token="other"), {})
    now[0] = 10.0
    audit.call(ended(UPSERT), {})
    lines = events(caplog, "server.audit")
    assert [line["token"] for line in lines] == [*["app"] * 100, "other", "app"]
    assert lines[-1]["not_logged"] == 150


def test_off_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    audit = AuditLog(on=False)
    audit.refused("no_tls")
    audit.reloaded(source="SIGHUP", failed=False)
    assert not audit.wants(UPSERT)
    assert not caplog.records
