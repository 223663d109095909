import re

import pytest

from server.metrics import Metrics
from server.rpc.refusals import Refusals


def test_a_reason_is_logged_at_most_once_in_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    monkeypatch.setattr("server.rpc.refusals.time.monotonic", lambda: now)
    metrics = Metrics()
    refusals = Refusals(metrics)
    for tenth in range(1000):
        now = tenth / 10
        refusals.count("token_missing", path="/a/b")
        refusals.count("no_tls")
    assert metrics.refused["token_missing"]._value.get() == 1000
    lines = [line for line in caplog.messages if "token_missing" in line]
    assert lines[:2] == [
        "refused: token_missing, /a/b",
        "refused: token_missing, /a/b, and 99 more since the last line",
    ]
    assert len(lines) == 10
    logged = sum(int(found[1]) for line in lines if (found := re.search(r"and (\d+) more", line)))
    assert len(lines) + logged > 900, "each but those after the last line"
    assert len(caplog.messages) == 20


def test_the_facts_that_are_known_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals(Metrics())
    refusals.count("role_insufficient", path="/a/b", caller=lambda: "app", peer="ipv4:127.0.0.1:9")
    refusals.count("handshake_failed")
    assert caplog.messages == [
        "refused: role_insufficient, /a/b, token of app, ipv4:127.0.0.1:9",
        "refused: handshake_failed",
    ]
