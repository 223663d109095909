import json
import socket

import pytest

import chaja
from chaja import channel
from chaja.channel import KEEPALIVE_SECONDS, channel_options, service_config
from chaja.v1 import SearchRequest
from server.rpc.grpc_server import MIN_PING_SECONDS
from server.rpc.server import SERVICES


def test_the_service_config_retries_all_methods_except_writes_and_endless_streams() -> None:
    config = json.loads(service_config())
    (method_config,) = config["methodConfig"]
    names = {(name["service"], name.get("method")) for name in method_config["name"]}
    repeated = {
        (service.full_name, method.name)
        for service in SERVICES
        for method in service.methods
        if names & {(service.full_name, method.name), (service.full_name, None)}
    }
    assert {(service.full_name, method.name) for service in SERVICES for method in service.methods} - repeated == {
        ("chaja.v1.AdminService", "Reload"),
        ("chaja.v1.CatalogService", "UpsertDocuments"),
        ("chaja.v1.CatalogService", "DeleteDocuments"),
        ("chaja.v1.CatalogService", "ImportDocuments"),
        ("chaja.v1.CatalogService", "WatchChanges"),
        ("chaja.v1.FeedbackService", "RecordFeedback"),
        ("chaja.v1.FeedbackService", "EraseFeedback"),
        ("chaja.v1.FeedbackService", "Learn"),
        ("chaja.v1.MerchandisingService", "PutRules"),
        ("chaja.v1.MerchandisingService", "DeleteRules"),
        ("chaja.v1.SynonymService", "ChangeSynonyms"),
    }
    assert "timeout" not in method_config, "it would also shorten the deadlines that calls set"
    assert method_config["waitForReady"]
    assert method_config["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert config["loadBalancingConfig"] == [{"round_robin": {}}]


def test_the_server_accepts_the_clients_keepalive() -> None:
    assert KEEPALIVE_SECONDS >= 2 * MIN_PING_SECONDS
    assert dict(channel_options())["grpc.keepalive_time_ms"] == KEEPALIVE_SECONDS * 1000


def test_attempts_to_connect_stay_frequent_while_a_server_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "MAX_RECONNECT_MILLISECONDS", 100)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        with chaja.connect(f"127.0.0.1:{listening.getsockname()[1]}") as client:
            waiting = client.search.Search.future(SearchRequest(query="waits"))
            for _ in range(12):  # If the time between them grew without a bound, the last ones would take 17 s each.
                listening.accept()[0].close()
            waiting.cancel()
