"""`/metrics`, for Prometheus."""

import asyncio
import time

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

METRICS_PATH = "/metrics"

CPU_SHARE = 0.05
"""Share of a core for scrapes: half of what the port may use, so that a probe does not wait for many scrapes."""


def scrape_route(registry: CollectorRegistry) -> Route:
    """Returns the route of the metrics."""
    return Route(METRICS_PATH, Scrapes(registry).answer)


class Scrapes:
    """Answers scrapes, one at a time. Used on one event loop."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._turn = asyncio.Lock()
        self._next_at = 0.0

    async def answer(self, request: Request) -> Response:
        """Returns the metrics in the format that the request accepts; `name[]` in the query selects some."""
        names = request.query_params.getlist("name[]")
        try:
            encode, content_type = choose_encoder(",".join(request.headers.getlist("Accept")))
        except (TypeError, ValueError):  # prometheus_client cannot parse the version.
            return PlainTextResponse("the Accept header has an invalid version\n", 400)
        async with self._turn:
            await asyncio.sleep(self._next_at - time.monotonic())
            began = time.thread_time()
            body = encode(self._registry.restricted_registry(names) if names else self._registry)
            self._next_at = time.monotonic() + (time.thread_time() - began) * (1 / CPU_SHARE - 1)
        return Response(body, headers={"Content-Type": content_type})
