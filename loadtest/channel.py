"""A gRPC channel that carries bytes: callers serialize requests before the call and parse answers after it."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Self

from loadtest import unverified
from loadtest.addresses import shown
from loadtest.core import Answer, Cancellable, Core, CoreMethod, Form, OnAnswer
from loadtest.errors import AttackError
from loadtest.target import COMPRESSIONS, Metadata, Target

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


class Method:
    """A method of the server that can be called on one channel."""

    def __init__(self, method: CoreMethod, target: Target) -> None:
        self._method = method
        self._metadata = target.metadata()

    def start(
        self, messages: Sequence[bytes], *, timeout_seconds: float, on_answer: OnAnswer, headers: Metadata = ()
    ) -> Cancellable:
        """Starts a call with serialized messages; `on_answer` is called in another thread, soon or even at once."""
        metadata = (*self._metadata, *headers) if headers else self._metadata
        return self._method.start(messages, metadata, timeout_seconds=timeout_seconds, on_answer=on_answer)

    async def __call__(self, messages: Sequence[bytes], *, timeout_seconds: float, headers: Metadata = ()) -> Answer:
        """Makes a call with serialized messages; returns the answer."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()

        def settle(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        def on_answer(answer: Answer) -> None:
            with contextlib.suppress(RuntimeError):  # The loop has been closed.
                loop.call_soon_threadsafe(settle, answer)

        call = self.start(messages, timeout_seconds=timeout_seconds, on_answer=on_answer, headers=headers)
        try:
            return await answered
        except asyncio.CancelledError:
            call.cancel()
            raise


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
                within = f"no connection within {CONNECT_SECONDS:g} seconds ({reason})"
                raise AttackError(f"{shown(self._uri)} does not answer: {within}")

    def method(self, path: str, form: Form = UNARY) -> Method:
        """Returns the method at a path."""
        return Method(self._core.method(path, form), self._target)
