"""A gRPC channel that carries bytes: callers serialize requests before the call and parse answers after it."""

import asyncio
import time
from typing import Self

from loadtest import unverified
from loadtest.addresses import shown
from loadtest.connection_failure import reason_and_advice
from loadtest.core.call import Form
from loadtest.core.channel import Core, CoreMethod
from loadtest.errors import AttackError
from loadtest.target import COMPRESSIONS, Target

CONNECT_SECONDS = 5.0
REASON_SECONDS = 0.2
PROBE_SECONDS = 0.1
UNARY = Form()

OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.use_local_subchannel_pool", 1),  # Each channel opens its own connection.
    ("grpc.enable_retries", 0),  # A load tester must see every error, not a retry.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    # Reconnect within a second after the server restarts.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.min_reconnect_backoff_ms", 5000),  # Despite its name: the time limit of one attempt to connect.
    # Above these limits the library returns RESOURCE_EXHAUSTED, which would count as a refusal by the server.
    ("grpc.max_receive_message_length", -1),
    ("grpc.absolute_max_metadata_size", 2**20),
    ("grpc.primary_user_agent", "chaja-loadtest"),
)


class Channel:
    """A connection to a server that reconnects when it is lost. Open it with `async with`.

    Args:
        target: The server.
        number: Number of the address, of those that the target has.

    Raises:
        UsageError: A certificate cannot be read.
        AttackError: A certificate that is not to be verified cannot be fetched.
    """

    def __init__(self, target: Target, number: int = 0) -> None:
        self._target = target
        self._uri = target.uris[number]
        self._core: Core

    async def __aenter__(self) -> Self:
        target, options = self._target, [*OPTIONS]
        if target.authority:
            options.append(("grpc.default_authority", target.authority))
        if target.compression:
            options.append(("grpc.default_compression_algorithm", int(COMPRESSIONS[target.compression])))
        trusted = None
        if target.insecure_skip_verify:
            trusted, name = await asyncio.to_thread(unverified.fetch, self._uri)
            options.append(("grpc.ssl_target_name_override", name))
        self._core = Core(self._uri, options, target.credentials(trusted))
        return self

    async def __aexit__(self, *raised: object) -> None:
        await asyncio.to_thread(self._core.close)

    async def connected(self) -> None:
        """Waits for the first connection.

        Raises:
            AttackError: No connection in time; the message has the reason.
        """
        until = time.monotonic() + CONNECT_SECONDS
        while not await asyncio.to_thread(self._core.ready, wait_seconds=PROBE_SECONDS):
            if time.monotonic() > until:
                reason = (await self.method("/")([b""], timeout_seconds=REASON_SECONDS)).message
                why = reason_and_advice(reason, tls=self._target.uses_tls)
                within = f"no connection within {CONNECT_SECONDS:g} seconds {why}"
                raise AttackError(f"{shown(self._uri)} does not answer: {within}")

    def method(self, path: str, form: Form = UNARY) -> CoreMethod:
        """Returns the method at a path, whose calls have the target's metadata."""
        return CoreMethod(self._core, path, form, self._target.metadata())
