"""`/metrics`, for Prometheus."""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

METRICS_PATH = "/metrics"


def scrape_route(registry: CollectorRegistry) -> Route:
    """Returns the route of the metrics in the format that a request accepts; `name[]` in the query selects some."""

    async def scrape(request: Request) -> Response:
        names = request.query_params.getlist("name[]")
        try:
            encode, content_type = choose_encoder(",".join(request.headers.getlist("Accept")))
            body = encode(registry.restricted_registry(names) if names else registry)
        except (TypeError, ValueError):  # prometheus_client cannot parse the version.
            return PlainTextResponse("the Accept header has an invalid version\n", 400)
        return Response(body, headers={"Content-Type": content_type})

    return Route(METRICS_PATH, scrape)
