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

State = Literal["loading", "serving", "draining", "failing"]
"""State of the whole server. Failing: a thread has died."""

LIVENESS = "liveness"
"""The service for liveness probes: SERVING also while the server loads and drains."""


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Implements `grpc.health.v1.Health`. Used on the event loop only."""

    def __init__(self, services: Iterable[str]) -> None:
        """Starts as NOT_SERVING, except for liveness; `services` are the names that clients may check."""
        self._statuses: dict[str, int] = dict.fromkeys(["", *services], Status.NOT_SERVING)
        self._statuses[LIVENESS] = Status.SERVING
        self._changed = asyncio.Event()
        self._shutting_down = self._ended = False

    def serve(self) -> None:
        """Reports SERVING, unless the server is shutting down."""
        self._set(Status.SERVING, self._statuses)

    def fail(self) -> None:
        """Reports NOT_SERVING, liveness included, because a thread has died. The server still accepts calls."""
        self._set(Status.NOT_SERVING, self._statuses)

    def refuse(self) -> None:
        """Reports NOT_SERVING except for liveness: a restart would not help."""
        self._set(Status.NOT_SERVING, self._statuses.keys() - {LIVENESS})

    def shut_down(self) -> None:
        """Reports NOT_SERVING permanently; liveness stays SERVING until the process ends."""
        self._set(Status.NOT_SERVING, self._statuses.keys() - {LIVENESS})
        self._shutting_down = True

    def alive(self) -> bool:
        """Returns whether liveness is SERVING."""
        return self._statuses[LIVENESS] == Status.SERVING

    def ready(self) -> bool:
        """Returns whether the server is SERVING."""
        return self._statuses[""] == Status.SERVING

    @property
    def state(self) -> State:
        """The state of the server."""
        if self._shutting_down:
            return "draining"
        if not self.alive():
            return "failing"
        return "serving" if self.ready() else "loading"

    def end_watches(self) -> None:
        """Ends all watches, so that they do not delay the shutdown."""
        self._ended = True
        self._wake()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> Status:  # noqa: N802
        """Returns the status of a service."""
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
        return Status(status=status)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> AsyncIterator[Status]:  # noqa: N802
        """Yields the status of a service now and after every change."""
        last: int | None = None
        while True:
            changed = self._changed
            status = self._statuses.get(request.service, Status.SERVICE_UNKNOWN)
            if status != last:
                yield Status(status=status)
                last = status
            elif self._ended:
                return
            else:
                await changed.wait()

    def _set(self, status: int, services: Iterable[str]) -> None:
        if not self._shutting_down:
            self._statuses |= dict.fromkeys(services, status)
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
