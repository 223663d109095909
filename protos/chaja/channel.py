"""What every channel to a Chaja server should be told: balancing, keepalive, retries."""

from __future__ import annotations

import json

KEEPALIVE_SECONDS = 60
"""Time between pings. The server allows one every 30 seconds; balancers drop connections idle for minutes."""

KEEPALIVE_TIMEOUT_SECONDS = 20
"""Time without an answer to a ping until the connection counts as dead."""

MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""A large batch of hits may exceed gRPC's own 4 MiB."""


def service_config() -> str:
    """Returns the service config (JSON, gRFC A2) that `connect` uses; other languages can take it as it is."""
    services = ["chaja.v1.SearchService", "chaja.v1.EncodeService", "chaja.v1.InfoService"]
    reading = [{"service": "chaja.v1.CatalogService", "method": name} for name in ("GetDocument", "ListDocuments")]
    return json.dumps(
        {
            # Spread calls over all addresses that the target resolves to, and over none that says NOT_SERVING.
            "loadBalancingConfig": [{"round_robin": {}}],
            "healthCheckConfig": {"serviceName": "chaja.v1.SearchService"},
            "methodConfig": [
                {
                    # What writes is repeated by who knows its `request_id`.
                    "name": [*({"service": service} for service in services), *reading],
                    # These are safe to repeat. UNAVAILABLE is the only status that AIP-194 retries.
                    "retryPolicy": {
                        "maxAttempts": 4,
                        "initialBackoff": "0.1s",
                        "maxBackoff": "1s",
                        "backoffMultiplier": 2,
                        "retryableStatusCodes": ["UNAVAILABLE"],
                    },
                }
            ],
            # Stop retrying when more than one call in ten fails: retries must not keep a server down.
            "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
        }
    )


def channel_options() -> list[tuple[str, str | int]]:
    """Returns the options that `connect` gives to its channel."""
    return [
        ("grpc.service_config", service_config()),
        ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
    ]
