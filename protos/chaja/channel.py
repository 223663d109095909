"""Options of every channel to a Chaja server: load balancing, keepalive, retries."""

from __future__ import annotations

from importlib import resources

KEEPALIVE_SECONDS = 60
"""Interval between pings. The server allows shorter ones; load balancers drop connections that are idle for minutes."""

KEEPALIVE_TIMEOUT_SECONDS = 20
"""Time without an answer to a ping after which the connection counts as dead."""

RECONNECT_MILLISECONDS = 100
"""Time until the second attempt to connect; later ones take longer. With gRPC's default of 1 s, a call could use up all
its retries while a server restarts."""

MAX_RECONNECT_MILLISECONDS = 2_000
"""Maximum time between two attempts to connect to the same address. With gRPC's default of 2 minutes, a server that was
away for long stays unused for long."""

MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""Maximum size of a response. Servers send at most gRPC's default of 4 MiB, unless their operator has raised
`--max-response-bytes`."""


def service_config() -> str:
    """Returns the service config (JSON, gRFC A2) that `connect` uses: the file `service_config.json` of this package.

    It spreads calls over all addresses of the target, skips servers that report NOT_SERVING, and repeats reads that
    fail with UNAVAILABLE, the only status that AIP-194 retries. Retries stop when more than one call in ten fails, so
    that they do not keep a server down. Writes are not repeated: only their caller knows the `request_id`.
    While no server is ready, reads wait until their deadline (waitForReady), so that a restart fails none of them.

    Examples:
        >>> import json
        >>> from chaja.channel import service_config
        >>> json.loads(service_config())["methodConfig"][0]["retryPolicy"]["retryableStatusCodes"]
        ['UNAVAILABLE']
    """
    return resources.files(__package__ or "chaja").joinpath("service_config.json").read_text(encoding="utf-8")


def channel_options() -> list[tuple[str, str | int]]:
    """Returns the channel options that `connect` uses, for a channel that `connect` cannot open.

    Examples:
        >>> import grpc
        >>> import chaja
        >>> from chaja.channel import channel_options
        >>> from chaja.v1 import GetServerInfoRequest
        >>> with chaja.Client(grpc.insecure_channel("localhost:50051", options=channel_options())) as client:
        ...     client.info.GetServerInfo(GetServerInfoRequest(), timeout=10.0).catalogue.writable
        True
    """
    return [
        ("grpc.service_config", service_config()),
        ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.initial_reconnect_backoff_ms", RECONNECT_MILLISECONDS),
        ("grpc.max_reconnect_backoff_ms", MAX_RECONNECT_MILLISECONDS),
        ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
    ]
