"""A gRPC channel that carries bytes: callers serialize requests before the call and parse answers after it."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple, Self

import grpc

from loadtest.clock import now_ns
from loadtest.codes import CODES, INTERNAL, OK
from loadtest.errors import AttackError
from loadtest.target import Target

CONNECT_SECONDS = 5.0
REASON_SECONDS = 0.2
CORE_ERROR = "Internal error from Core"

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


class Answer(NamedTuple):
    """The outcome of a call.

    Attributes:
        code: Number of the gRPC code.
        message: The status message of an error.
        messages: The serialized messages of the answer.
        done_ns: Time when the outcome was known.
    """

    code: int
    message: str
    messages: Sequence[bytes]
    done_ns: int

    def __str__(self) -> str:
        return f"{CODES[self.code]}: {self.message}"


class Method:
    """A method of the server that can be called on one channel."""

    def __init__(self, call: Any, target: Target, *, client_streaming: bool, server_streaming: bool) -> None:
        self._call = call
        self._client_streaming = client_streaming
        self._server_streaming = server_streaming
        self._metadata = grpc.aio.Metadata(*target.metadata()) or None

    def __call__(self, messages: Sequence[bytes], *, timeout_seconds: float) -> Coroutine[Any, Any, Answer]:
        """Starts a call with serialized messages; await the result for the answer."""
        request = messages if self._client_streaming else messages[0]
        call = self._call(request, timeout=timeout_seconds, metadata=self._metadata)
        statuses: list[tuple[grpc.StatusCode, str | None]] = []
        if self._client_streaming:
            # When the server ends a call while requests are being written, the library adds its own error before or
            # after the server's status: https://github.com/grpc/grpc/issues/36066.
            call.add_done_callback(lambda call: statuses.append((_result(call.code()), _result(call.details()))))
        return self._answer(call, statuses)

    async def _answer(self, call: Any, statuses: list[tuple[grpc.StatusCode, str | None]]) -> Answer:
        messages: list[Any] = []
        try:
            if self._server_streaming:
                async for message in call:
                    messages.append(message)
            else:
                messages.append(await call)
        except grpc.aio.AioRpcError as error:
            done_ns = now_ns()
            statuses.append((error.code(), error.details()))
            code, details = min(statuses, key=lambda status: status[1] == CORE_ERROR)
            return Answer(code.value[0], details or "", messages, done_ns)
        done_ns = now_ns()
        if not self._server_streaming and messages[0] is None:
            return Answer(INTERNAL, "the answer has no message", (), done_ns)
        return Answer(OK, "", messages, done_ns)


def _result(done: Coroutine[Any, Any, Any]) -> Any:
    """Returns the result of a coroutine that never waits."""
    try:
        done.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the coroutine waits")


class Channel:
    """A connection to a server that reconnects when it is lost. Open it with `async with`.

    Raises:
        UsageError: A certificate cannot be read.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        credentials = target.credentials()
        options = [*OPTIONS, ("grpc.default_authority", target.authority)] if target.authority else OPTIONS
        self._channel = (
            grpc.aio.secure_channel(target.uri, credentials, options=options)
            if credentials
            else grpc.aio.insecure_channel(target.uri, options=options)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._channel.close()

    async def connected(self) -> None:
        """Waits for the first connection.

        Raises:
            AttackError: No connection in time; the message has the reason.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._channel.channel_ready()
        except TimeoutError:
            reason = (await self.method("/")([b""], timeout_seconds=REASON_SECONDS)).message
            raise AttackError(
                f"{self._target.address} does not answer: no connection within {CONNECT_SECONDS:g} seconds ({reason})"
            ) from None

    def method(self, path: str, *, client_streaming: bool = False, server_streaming: bool = False) -> Method:
        """Returns the method at a path."""
        form = f"{'stream' if client_streaming else 'unary'}_{'stream' if server_streaming else 'unary'}"
        call = getattr(self._channel, form)(path)
        return Method(call, self._target, client_streaming=client_streaming, server_streaming=server_streaming)
