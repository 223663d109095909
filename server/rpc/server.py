"""Puts the services, health and reflection on one gRPC server."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from chaja.v1 import (
    add_EncodeServiceServicer_to_server,
    add_InfoServiceServicer_to_server,
    add_SearchServiceServicer_to_server,
    encode_pb2,
    info_pb2,
    search_pb2,
)
from server.engine import EngineSlot
from server.errors import AddressError
from server.metrics import Metrics
from server.rpc.encode import EncodeServicer
from server.rpc.errors import ErrorInterceptor
from server.rpc.info import InfoServicer
from server.rpc.limits import Limits
from server.rpc.metering import MeteringInterceptor
from server.rpc.search import SearchServicer
from server.settings import Address, Settings

SERVICES = [
    service for file in (search_pb2, encode_pb2, info_pb2) for service in file.DESCRIPTOR.services_by_name.values()
]
METHODS = [(service.full_name, method.name) for service in SERVICES for method in service.methods]

MIN_PING_SECONDS = 30
"""Clients that ping more often are sent away. gRPC's own default, five minutes, forbids useful keepalives."""

MAX_PENDING_CALLS = 1_000_000
"""Calls that may wait to be taken up by our code."""


class RpcServer:
    """The gRPC server: listens from the start, NOT_SERVING until it is told that all is loaded."""

    def __init__(self, settings: Settings, slot: EngineSlot, metrics: Metrics) -> None:
        self._server = grpc.aio.server(
            interceptors=[MeteringInterceptor(metrics), ErrorInterceptor()],
            options=[
                ("grpc.max_receive_message_length", settings.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                # gRPC's own bounds (1,000 at random, 3,000 surely) answer a crowd with a bare CANCELLED, uncounted.
                ("grpc.server.max_pending_requests", MAX_PENDING_CALLS),
                ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING_CALLS),
                # Two servers on one port would share its connections, and nobody would notice.
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", MIN_PING_SECONDS * 1000),
            ],
        )
        limits = Limits.of(settings)
        add_SearchServiceServicer_to_server(SearchServicer(slot, limits, metrics), self._server)
        add_EncodeServiceServicer_to_server(EncodeServicer(slot, limits, metrics), self._server)
        add_InfoServiceServicer_to_server(InfoServicer(slot, limits), self._server)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if settings.reflection:
            names = [service.full_name for service in SERVICES]
            reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)

    async def listen(self, address: Address) -> Address:
        """Starts to listen, NOT_SERVING; returns the address with the port that the system chose.

        Raises:
            AddressError: The address is taken or not this machine's.
        """
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        try:
            port = self._server.add_insecure_port(str(address))
        except RuntimeError:
            raise AddressError(
                f"cannot listen on {address}: it is in use or not this machine's; choose another with --listen"
            ) from None
        await self._server.start()
        return Address(address.host, port)

    async def serve(self) -> None:
        """Says SERVING."""
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_seconds: float) -> None:
        """Says NOT_SERVING for good, takes no new calls, and lets those in flight finish within the grace."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_seconds)

    async def _set_health(self, status: int) -> None:
        for name in ["", *(service.full_name for service in SERVICES)]:
            await self._health.set(name, status)
