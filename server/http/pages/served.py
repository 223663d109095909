"""All pages of a server."""

import contextlib
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from starlette.routing import Route

from server.http.pages.findings import Thresholds
from server.http.pages.sampler import sampling
from server.http.pages.status import ServerState, StatusPage
from server.progress import Progress
from server.rpc.health import HealthServicer
from server.rpc.server import RpcServer
from server.settings import Settings


@contextlib.contextmanager
def served_pages(
    settings: Settings, registry: CollectorRegistry, *, rpc: RpcServer, health: HealthServicer, progress: Progress
) -> Iterator[list[Route]]:
    """Yields the routes of the pages; samples the metrics meanwhile. Enter it in the server's event loop."""

    def read_state() -> ServerState:
        return ServerState(health.state, *progress.step)

    thresholds = Thresholds(min_recall=settings.min_recall)
    with sampling(registry) as sampler:
        status = StatusPage(sampler, rpc.slowest, read_state=read_state, thresholds=thresholds)
        yield status.routes()
