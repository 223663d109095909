"""Options of every channel to a Chaja server: load balancing, keepalive and retries."""

from __future__ import annotations

import json

KEEPALIVE_SECONDS = 60
"""Interval between pings. The server allows shorter ones; load balancers drop connections that are idle for minutes."""

KEEPALIVE_TIMEOUT_SECONDS = 20
"""Time without an answer to a ping after which the connection counts as dead."""

MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""Maximum size of a response. A large batch of hits may exceed gRPC's default of 4 MiB."""


def service_config() -> str:
    """Returns the service config (JSON, gRFC A2) that `connect` uses; clients in other languages can use it, too."""
    services = ["chaja.v1.SearchService", "chaja.v1.EncodeService", "chaja.v1.InfoService"]
    reading = [{"service": "chaja.v1.CatalogService", "method": name} for name in ("GetDocument", "ListDocuments")]
    return json.dumps(
        {
            # Spread calls over all addresses of the target, except those that report NOT_SERVING.
            "loadBalancingConfig": [{"round_robin": {}}],
            "healthCheckConfig": {"serviceName": "chaja.v1.SearchService"},
            "methodConfig": [
                {
                    # Only methods that are safe to repeat. A caller that sets a `request_id` may repeat its writes.
                    "name": [*({"service": service} for service in services), *reading],
                    # AIP-194 retries no other status than UNAVAILABLE.
                    "retryPolicy": {
                        "maxAttempts": 4,
                        "initialBackoff": "0.1s",
                        "maxBackoff": "1s",
                        "backoffMultiplier": 2,
                        "retryableStatusCodes": ["UNAVAILABLE"],
                    },
                }
            ],
            # Stop retrying when more than one call in ten fails: retries must not keep a server overloaded.
            "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
        }
    )


def channel_options() -> list[tuple[str, str | int]]:
    """Returns the channel options that `connect` uses."""
    return [
        ("grpc.service_config", service_config()),
        ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
    ]
