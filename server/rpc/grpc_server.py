"""Configures the grpc.aio server: its limits on connections, messages and time.

Sources: grpc/impl/channel_arg_names.h of gRPC, gRFC A8 and A9 (keepalive, connection age), RFC 9113 (HTTP/2).
"""

from __future__ import annotations

import resource
from typing import Any, TypeAlias

import grpc

from server.rpc.grpc_logs import shorten_logs
from server.settings import Settings

MAX_CONCURRENT_STREAMS = 256
"""Maximum concurrent calls on one connection. A client delays further calls, or opens another connection."""

MAX_CONCURRENT_RPCS = 10_000
"""Maximum concurrent calls on all connections; gRPC rejects more. `Connections` limits single connections earlier."""

MAX_METADATA_BYTES = 16 * 1024
"""Maximum size of a call's headers; other calls on its connection continue. gRPC rejects a larger HEADERS frame,
but does not add up CONTINUATION frames, so `Calls` checks the sum."""

KEEPALIVE_SECONDS, KEEPALIVE_TIMEOUT_SECONDS = 30, 10
"""Idle time after which the server pings a connection, and maximum time for the answer."""

MIN_PING_SECONDS = 9
"""Minimum interval between a client's pings. The server closes a connection after three early pings in a row."""

HANDSHAKE_SECONDS = 20
"""Time for a new connection to finish its TLS handshake and its HTTP/2 preface."""

RESERVED_DESCRIPTORS = 100
"""File descriptors reserved for the store, its snapshots, the metrics and the model."""

COMPRESSION_NONE, COMPRESSION_LOW = 0, 1
"""Compression levels (grpc/impl/compression_types.h). The low level is gzip for clients that accept it."""

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


def new_server(settings: Settings, handler: grpc.GenericRpcHandler) -> grpc.aio.Server:
    """Returns a server for the running event loop; it finds every method in `handler`.

    One generic handler is cheaper than registered methods: grpc.aio has one waiting task for each registered method,
    and wakes all of them for every call.
    """
    shorten_logs()
    return grpc.aio.server(
        handlers=[handler], options=server_options(settings), maximum_concurrent_rpcs=MAX_CONCURRENT_RPCS
    )


def server_options(settings: Settings) -> list[tuple[str, int]]:
    """Returns the channel arguments of the server."""
    options = {
        # Messages. gRPC rejects a larger request with RESOURCE_EXHAUSTED before reading it, or while decompressing it.
        "grpc.max_receive_message_length": settings.max_message_bytes,
        "grpc.max_send_message_length": -1,  # The limits of each method bound its answers.
        # A level, not an algorithm: with an algorithm gRPC also compresses for clients that do not accept it.
        "grpc.default_compression_level": COMPRESSION_LOW if settings.compress_answers else COMPRESSION_NONE,
        # The hard limit equals the soft one: between them gRPC would reject calls at random.
        "grpc.max_metadata_size": MAX_METADATA_BYTES,
        "grpc.absolute_max_metadata_size": MAX_METADATA_BYTES,
        # Connections. Above the limit gRPC closes a new one at once, so that file descriptors never run out.
        "grpc.max_allowed_incoming_connections": max_connections(),
        "grpc.max_concurrent_streams": MAX_CONCURRENT_STREAMS,
        # Calls that the client has ended and the server has not released. The limit guards against rapid resets
        # (CVE-2023-44487). With gRPC's default of 0 it would reject clients near their limit of streams.
        "grpc.http2.max_deallocating_streams": MAX_CONCURRENT_STREAMS,
        # Calls not yet accepted. Above the first number gRPC drops random ones, whose callers see CANCELLED. The
        # server rejects calls with a reason long before.
        "grpc.server.max_pending_requests": MAX_CONCURRENT_RPCS // 2,
        "grpc.server.max_pending_requests_hard_limit": MAX_CONCURRENT_RPCS,
        "grpc.server_handshake_timeout_ms": HANDSHAKE_SECONDS * 1000,
        "grpc.so_reuseport": 0,  # A second server on the same port is an error; it must not silently share the calls.
        # Keepalive (gRFC A8): the server detects dead clients, and disconnects clients that ping too often.
        "grpc.keepalive_time_ms": KEEPALIVE_SECONDS * 1000,
        "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_SECONDS * 1000,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.min_ping_interval_without_data_ms": MIN_PING_SECONDS * 1000,
        "grpc.http2.max_ping_strikes": 2,
        # A fixed window of 64 KiB per stream: bandwidth estimation would let a client buffer megabytes in each.
        "grpc.http2.bdp_probe": 0,
    }
    if settings.max_connection_age_seconds:  # gRPC adds a jitter of a tenth (gRFC A9).
        options["grpc.max_connection_age_ms"] = _milliseconds(settings.max_connection_age_seconds)
        options["grpc.max_connection_age_grace_ms"] = _milliseconds(settings.max_connection_age_grace_seconds)
    return list(options.items())


def max_connections() -> int:
    """Returns the number of connections that the limit of file descriptors allows."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return 2**31 - 1
    return max(descriptors - RESERVED_DESCRIPTORS, descriptors // 2)


def _milliseconds(seconds: float) -> int:
    return max(1, min(round(seconds * 1000), 2**31 - 1))


class Methods(grpc.GenericRpcHandler):
    """The handlers of all services by path. Generated code registers a service here instead of at a server."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Ignores the generic handlers: generated code registers the same methods by name."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Handler]) -> None:
        """Adds the methods of a service."""
        self.handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """Returns the handler of a call's method, or None if there is no such method."""
        return self.handlers.get(handler_call_details.method)
