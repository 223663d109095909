"""`/metrics`, for Prometheus.

Scrapes take a bounded share of a core. Those that wait for their turn share one answer, which is made after they have
arrived: many clients cannot keep Prometheus waiting.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import RestrictedRegistry
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from server.http.pace import CpuBudget

METRICS_PATH = "/metrics"

CPU_SHARE = 0.05
"""Share of a core for scrapes: half of what the port may use, so that a probe does not wait for many scrapes."""

BURST_SECONDS = 0.25
"""CPU time for scrapes that follow each other, as when a person looks: less than the port has."""


def scrape_route(registry: CollectorRegistry) -> Route:
    """Returns the route of the metrics."""
    return Route(METRICS_PATH, Scrapes(registry).answer)


Format = Callable[[CollectorRegistry | RestrictedRegistry], bytes]


class Scrapes:
    """Answers scrapes, one format and selection at a time. Used on one event loop."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._turn = asyncio.Lock()
        self._budget = CpuBudget()
        self._next_at = 0.0
        self._waiting: dict[tuple[str, ...], asyncio.Task[bytes]] = {}

    async def answer(self, request: Request) -> Response:
        """Returns the metrics in the format that the request accepts; `name[]` in the query selects some."""
        names = request.query_params.getlist("name[]")
        try:
            encode, content_type = choose_encoder(",".join(request.headers.getlist("Accept")))
        except (TypeError, ValueError):  # prometheus_client cannot parse the version.
            return PlainTextResponse("the Accept header has an invalid version\n", 400)
        key = (content_type, *names)
        if key not in self._waiting:
            self._waiting[key] = asyncio.create_task(self._encoded(key, encode, names))
        body = await asyncio.shield(self._waiting[key])  # Another client may wait for it.
        return Response(body, headers={"Content-Type": content_type})

    async def _encoded(self, key: tuple[str, ...], encode: Format, names: Sequence[str]) -> bytes:
        async with self._turn:
            await asyncio.sleep(self._next_at - time.monotonic())
            del self._waiting[key]
            began = time.thread_time()
            try:
                return encode(self._registry.restricted_registry(names) if names else self._registry)
            finally:
                used_seconds = time.thread_time() - began
                pause_seconds = self._budget.spend(used_seconds, share=CPU_SHARE, burst_seconds=BURST_SECONDS)
                self._next_at = time.monotonic() + pause_seconds
