"""Configures the grpc.aio server: every bound on connections, messages and time, and the addresses it listens on.

The options are explained by their effect. Sources: grpc/impl/channel_arg_names.h of gRPC, gRFC A8 and A9 (keepalive,
connection age), RFC 9113 (HTTP/2).
"""

from __future__ import annotations

import logging
import resource
import socket
import stat
from typing import Any, TypeAlias

import grpc

from server.errors import AddressError
from server.setting_types import Address, UnixSocket
from server.settings import Settings

MAX_CONCURRENT_STREAMS = 256
"""Calls at once on one connection; a client keeps the others back, or opens a second connection."""

MAX_CONCURRENT_RPCS = 10_000
"""Calls at once on all connections; gRPC refuses more. `Connections` bounds the greedy ones long before."""

MAX_METADATA_BYTES = 16 * 1024
"""Size of a call's headers. A call with more is refused; the others on its connection go on."""

KEEPALIVE_SECONDS, KEEPALIVE_TIMEOUT_SECONDS = 30, 10
"""The server pings a connection after a time of silence, and closes it when no answer comes in time."""

MIN_PING_SECONDS = 9
"""Clients may ping this often; one that does so more often three times in a row loses its connection."""

HANDSHAKE_SECONDS = 20
"""Time for a new connection to finish its TLS handshake and its HTTP/2 preface."""

RESERVED_DESCRIPTORS = 100
"""File descriptors that connections leave to the store, its snapshots, the metrics and the model."""

COMPRESSION_NONE, COMPRESSION_LOW = 0, 1
"""Levels of compression (grpc/impl/compression_types.h). The low one is gzip wherever the client accepts that."""

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


def new_server(settings: Settings, handler: grpc.GenericRpcHandler) -> grpc.aio.Server:
    """Returns a server for the running event loop that asks `handler` for every method.

    One generic handler is cheaper than registered methods: grpc.aio waits for the next call of each registered method
    separately, and wakes all of these waits with every call.
    """
    logging.getLogger("grpc._cython.cygrpc").addFilter(_concerns_the_server)
    return grpc.aio.server(
        handlers=[handler], options=server_options(settings), maximum_concurrent_rpcs=MAX_CONCURRENT_RPCS
    )


def _concerns_the_server(record: logging.LogRecord) -> bool:
    """Drops the tracebacks that grpc.aio logs when a client leaves before its answer is sent."""
    return not (record.exc_info and isinstance(record.exc_info[1], grpc.aio.InternalError))


def server_options(settings: Settings) -> list[tuple[str, int]]:
    """Returns the channel arguments of the server."""
    options = {
        # Messages. A larger request is refused with RESOURCE_EXHAUSTED before it is read, or while it is decompressed.
        "grpc.max_receive_message_length": settings.max_message_bytes,
        "grpc.max_send_message_length": -1,  # The limits of each method bound its answers.
        # A level, not an algorithm: with the latter gRPC compresses for clients that do not accept it, too.
        "grpc.default_compression_level": COMPRESSION_LOW if settings.compress_answers else COMPRESSION_NONE,
        # The hard limit equals the soft one: between them gRPC would refuse calls at random.
        "grpc.max_metadata_size": MAX_METADATA_BYTES,
        "grpc.absolute_max_metadata_size": MAX_METADATA_BYTES,
        # Connections. Beyond the limit a new one is closed at once, so that descriptors never run out.
        "grpc.max_allowed_incoming_connections": max_connections(),
        "grpc.max_concurrent_streams": MAX_CONCURRENT_STREAMS,
        # Calls that have ended for the client and not yet for the server; it refuses more. This is the guard against
        # rapid resets (CVE-2023-44487). With gRPC's default of 0 a client near its limit of streams would be refused.
        "grpc.http2.max_deallocating_streams": MAX_CONCURRENT_STREAMS,
        # Calls that wait to be looked at. Beyond the first number gRPC drops some at random, whoever sent them; their
        # callers see CANCELLED. Here the server refuses calls long before, and says why.
        "grpc.server.max_pending_requests": MAX_CONCURRENT_RPCS // 2,
        "grpc.server.max_pending_requests_hard_limit": MAX_CONCURRENT_RPCS,
        "grpc.server_handshake_timeout_ms": HANDSHAKE_SECONDS * 1000,
        "grpc.so_reuseport": 0,  # A second server on the same port is an error, not a silent share of the calls.
        # Keepalive: a client that is gone is noticed, one that pings too often is sent away (gRFC A8).
        "grpc.keepalive_time_ms": KEEPALIVE_SECONDS * 1000,
        "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_SECONDS * 1000,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.min_ping_interval_without_data_ms": MIN_PING_SECONDS * 1000,
        "grpc.http2.max_ping_strikes": 2,
        # A fixed window of 64 KiB a stream: an estimate of the bandwidth would let a client park megabytes in each.
        "grpc.http2.bdp_probe": 0,
    }
    if settings.max_connection_age_seconds:  # gRPC adds a jitter of a tenth (gRFC A9).
        options["grpc.max_connection_age_ms"] = _milliseconds(settings.max_connection_age_seconds)
        options["grpc.max_connection_age_grace_ms"] = _milliseconds(settings.max_connection_age_grace_seconds)
    return list(options.items())


def max_connections() -> int:
    """Returns how many connections the process has file descriptors for."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return 2**31 - 1
    return max(descriptors - RESERVED_DESCRIPTORS, descriptors // 2)


def listen(
    server: grpc.aio.Server, address: Address | UnixSocket, credentials: grpc.ServerCredentials | None
) -> Address | UnixSocket:
    """Binds an address; returns it with the port that the system chose. Raises AddressError."""
    if isinstance(address, UnixSocket) and _answers(address):
        raise AddressError(f"cannot listen on {address}: another server does; choose another with --listen")
    try:
        if credentials is None:
            port = server.add_insecure_port(str(address))
        else:
            port = server.add_secure_port(str(address), credentials)
    except RuntimeError:
        raise AddressError(
            f"cannot listen on {address}: it is in use or not this machine's; choose another with --listen"
        ) from None
    return address if isinstance(address, UnixSocket) else Address(address.host, port)


def _answers(address: UnixSocket) -> bool:
    """Returns whether a server listens on a socket. gRPC would take a file that is no socket, or in use, for free."""
    if not address.path.exists():
        return False
    if not stat.S_ISSOCK(address.path.stat().st_mode):
        raise AddressError(f"cannot listen on {address}: a file of this name is there, and it is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(address.path)) == 0


def _milliseconds(seconds: float) -> int:
    return max(1, min(round(seconds * 1000), 2**31 - 1))


class Methods(grpc.GenericRpcHandler):
    """The handlers of all services by path. Takes the place of the server where generated code registers a service."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Ignores the generic handlers: generated code registers the same methods by name."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Handler]) -> None:
        """Adds the methods of a service."""
        self.handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """Returns the handler of a call's method, None if there is no such method."""
        return self.handlers.get(handler_call_details.method)
