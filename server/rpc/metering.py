"""Counts and times the calls of our services, with the status that each of them ended with."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc

from server.metrics import Metrics
from server.rpc.interceptor import UnaryInterceptor, UnaryMethod

OK = grpc.StatusCode.OK.value[0]
UNKNOWN = grpc.StatusCode.UNKNOWN.value[0]
CANCELLED = grpc.StatusCode.CANCELLED.value[0]
DEADLINE_EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]


class MeteringInterceptor(UnaryInterceptor):
    """Stands outside the error interceptor, so that it sees the status that the caller sees."""

    def __init__(self, metrics: Metrics) -> None:
        self._calls = metrics.calls

    async def call(self, method: UnaryMethod, request: Any, context: Any, path: str) -> Any:
        """Calls the method, and counts and times it."""
        metrics = self._calls.get(path)
        if metrics is None:  # Health checks and other services that are not ours.
            return await method(request, context)
        metrics.start()
        started = time.perf_counter()
        code = UNKNOWN
        try:
            response = await method(request, context)
            code = OK
            return response
        except grpc.aio.AbortError:
            code = _number(context.code())
            raise
        except asyncio.CancelledError:
            remaining = context.time_remaining()
            code = DEADLINE_EXCEEDED if remaining is not None and remaining <= 0 else CANCELLED
            raise
        finally:
            metrics.end(code, time.perf_counter() - started)


def _number(code: Any) -> int:
    """Returns a status code as a number; grpc.aio itself gives either form."""
    return code.value[0] if isinstance(code, grpc.StatusCode) else int(code)
