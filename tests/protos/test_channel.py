from __future__ import annotations

import json

from chaja.channel import KEEPALIVE_SECONDS, channel_options, service_config
from server.rpc.server import SERVICES
from server.transport.abuse import PING_SECONDS


def test_the_service_config_covers_every_service_but_the_operators() -> None:
    config = json.loads(service_config())
    (method_config,) = config["methodConfig"]
    assert {name["service"] for name in method_config["name"]} == {service.full_name for service in SERVICES} - {
        "chaja.v1.AdminService"
    }
    assert "timeout" not in method_config, "it would also shorten the deadlines that calls set"
    assert method_config["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert config["loadBalancingConfig"] == [{"round_robin": {}}]


def test_the_server_accepts_the_clients_keepalive() -> None:
    assert KEEPALIVE_SECONDS >= 2 * PING_SECONDS
    assert dict(channel_options())["grpc.keepalive_time_ms"] == KEEPALIVE_SECONDS * 1000
