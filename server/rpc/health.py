"""grpc.health.v1.Health: reports whether the server, or one of its services, can answer.

This replaces the servicer of grpc_health, which holds a lock while it notifies a watcher: a watcher that does not read
would block all other watchers, and the drain.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

Status = health_pb2.HealthCheckResponse

State = Literal["loading", "serving", "lagging", "refusing", "draining", "failing"]
"""State of the whole server. Lagging: searches lack changes of the store. Failing: a thread has died."""

LIVENESS = "liveness"
"""The service for liveness probes: SERVING also while the server loads and drains."""


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Implements `grpc.health.v1.Health`. Used on the event loop only."""

    def __init__(self, services: Iterable[str]) -> None:
        """Starts as NOT_SERVING, except for liveness; `services` are the names that clients may check."""
        self._services = ["", *services]
        self._is_alive, self._is_serving, self._is_lagging = True, False, False
        self._is_refusing = self._shutting_down = self._ended = False
        self._changed = asyncio.Event()

    def serve(self) -> None:
        """Reports SERVING, unless the server lags or shuts down."""
        self._set(is_alive=True, is_serving=True)

    def fail(self) -> None:
        """Reports NOT_SERVING, liveness included, because a thread has died. The server still accepts calls."""
        self._set(is_alive=False, is_serving=False)

    def refuse(self) -> None:
        """Reports NOT_SERVING except for liveness, because the store has lost changes: a restart would not help."""
        self._is_refusing = True
        self._set(is_alive=self._is_alive, is_serving=False)

    def lag(self, *, is_lagging: bool) -> None:
        """Reports NOT_SERVING except for liveness as long as searches lack changes of the store."""
        if is_lagging != self._is_lagging:
            self._is_lagging = is_lagging
            self._wake()

    def shut_down(self) -> None:
        """Reports NOT_SERVING permanently; liveness stays as it is until the process ends."""
        self._set(is_alive=self._is_alive, is_serving=False)
        self._shutting_down = True

    def alive(self) -> bool:
        """Returns whether liveness is SERVING."""
        return self._is_alive

    def ready(self) -> bool:
        """Returns whether the server is SERVING."""
        return self._is_serving and not self._is_lagging

    @property
    def state(self) -> State:
        """The state of the server."""
        if self._shutting_down:
            return "draining"
        if not self.alive():
            return "failing"
        if self._is_refusing:
            return "refusing"
        if self._is_serving and self._is_lagging:
            return "lagging"
        return "serving" if self.ready() else "loading"

    def end_watches(self) -> None:
        """Ends all watches, so that they do not delay the shutdown."""
        self._ended = True
        self._wake()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> Status:  # noqa: N802
        """Returns the status of a service."""
        status = self._status(request.service)
        if status == Status.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
        return Status(status=status)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> AsyncIterator[Status]:  # noqa: N802
        """Yields the status of a service now and after every change."""
        last: int | None = None
        while True:
            changed = self._changed
            status = self._status(request.service)
            if status != last:
                yield Status(status=status)
                last = status
            elif self._ended:
                return
            else:
                await changed.wait()

    def _status(self, service: str) -> int:
        if service == LIVENESS:
            return Status.SERVING if self._is_alive else Status.NOT_SERVING
        if service not in self._services:
            return Status.SERVICE_UNKNOWN
        return Status.SERVING if self.ready() else Status.NOT_SERVING

    def _set(self, *, is_alive: bool, is_serving: bool) -> None:
        if not self._shutting_down:
            self._is_alive, self._is_serving = is_alive, is_serving
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
