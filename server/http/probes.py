"""`/healthz` (liveness) and `/readyz` (readiness), as the gRPC health service reports them."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

PROBE_SECONDS = 5.0
"""Time for the server's event loop to answer a probe. If it takes longer, the server is neither alive nor ready."""

Probe = Callable[[], bool]
"""Returns whether a check succeeds. It is called on the server's event loop."""


def probe_routes(*, alive: Probe, ready: Probe) -> list[Route]:
    """Returns the routes of the probes. Call it in the server's event loop."""
    served_loop = asyncio.get_running_loop()

    def route(path: str, probe: Probe) -> Route:
        async def check() -> bool:
            return probe()

        async def answer(_: Request) -> Response:
            asked = asyncio.run_coroutine_threadsafe(check(), served_loop)
            try:
                succeeded = await asyncio.wait_for(asyncio.wrap_future(asked), PROBE_SECONDS)
            except TimeoutError:
                return PlainTextResponse("the server does not respond\n", 503)
            return PlainTextResponse("ok\n") if succeeded else PlainTextResponse("not serving\n", 503)

        return Route(path, answer)

    return [route("/healthz", alive), route("/readyz", ready)]
