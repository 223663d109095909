"""What all connections of a server share: the handlers, the deadlines, the calls that run, and the limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc

from server.transport.deadlines import Deadlines
from server.transport.metadata import Metadatum
from server.transport.request import Refusal, Request
from server.transport.running import run

if TYPE_CHECKING:
    from server.transport.call import Call
    from server.transport.connection import Connection


@dataclass(frozen=True)
class TransportLimits:
    """What a server allows.

    Attributes:
        max_message_bytes: Of one message, after decompression.
        max_concurrent_streams: Of one connection.
        max_connection_age_seconds: After it a connection takes no new calls.
        max_connection_age_grace_seconds: How long those on it may still take.
        greeting_seconds: Until a client has to have said that it speaks HTTP/2.
        keepalive_seconds: After so long a silence the client is asked whether it is there.
        keepalive_timeout_seconds: How long it may take to say so.
    """

    max_message_bytes: int
    max_concurrent_streams: int = 4_000
    max_connection_age_seconds: float = float("inf")
    max_connection_age_grace_seconds: float = float("inf")
    greeting_seconds: float = 20.0
    keepalive_seconds: float = 7200.0
    keepalive_timeout_seconds: float = 20.0


Gate = Callable[[str], Refusal | None]
"""Is asked with the path of a method before anything is spent on a call; says why it is refused, or `None`."""


class _CallDetails(NamedTuple):
    """What a generic handler is asked with, as `grpc.HandlerCallDetails`."""

    method: str
    invocation_metadata: tuple[Metadatum, ...]


class Host:
    """Finds methods and runs them.

    Attributes:
        limits: What is allowed.
        connections: All that are open.
        running: The methods that run; being here keeps their tasks from being collected.
        deadlines: Those of the calls.
        stopping: Whether connections that are still made are told to go at once.
    """

    def __init__(self, limits: TransportLimits, gate: Gate | None) -> None:
        self.limits = limits
        self._gate = gate
        self.connections: set[Connection] = set()
        self.running: set[asyncio.Task[None]] = set()
        self.deadlines = Deadlines()
        self.stopping = False
        self._registered: dict[str, Any] = {}
        self._generic: list[grpc.GenericRpcHandler] = []

    def register(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Adds the methods of a service."""
        self._registered.update({f"/{service}/{method}": handler for method, handler in handlers.items()})

    def add_generic(self, handlers: Iterable[Any]) -> None:
        """Adds handlers that are asked for every path which no service has."""
        self._generic += handlers

    def find(self, request: Request) -> Any | None:
        """Returns the handler of a request's method, or `None`."""
        handler = self._registered.get(request.path)
        if handler is None:
            details: Any = _CallDetails(request.path, request.metadata)
            answers = (generic.service(details) for generic in self._generic)
            handler = next((each for each in answers if each is not None), None)
        return handler

    def start(self, call: Call) -> None:
        """Runs the method of a call, if the gate lets it in."""
        refusal = None if self._gate is None else self._gate(call.request.path)
        if refusal is not None:
            call.refuse_patiently(refusal)
            return
        call.task = task = asyncio.get_running_loop().create_task(run(call))
        self.running.add(task)
        task.add_done_callback(self.running.discard)
