"""All pages of a server."""

import contextlib
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from starlette.routing import Route

from server.engine import EngineSlot
from server.http.pages.findings import Thresholds
from server.http.pages.sampler import sampling
from server.http.pages.search import SearchPage
from server.http.pages.status import ServerState, StatusPage
from server.progress import Progress
from server.rpc.health import HealthServicer
from server.rpc.hits import Fetch
from server.rpc.server import RpcServer
from server.settings import Settings


@contextlib.contextmanager
def served_pages(
    settings: Settings,
    registry: CollectorRegistry,
    *,
    rpc: RpcServer,
    slot: EngineSlot,
    health: HealthServicer,
    progress: Progress,
    fetch: Fetch,
) -> Iterator[list[Route]]:
    """Yields the routes of the pages; samples the metrics meanwhile. Enter it in the server's event loop."""

    def read_state() -> ServerState:
        state = health.state
        return ServerState(state, *progress.step) if state == "loading" else ServerState(state)

    thresholds = Thresholds(min_recall=settings.min_recall)
    with contextlib.ExitStack() as stack:
        sampler = stack.enter_context(sampling(registry))
        pages = StatusPage(sampler, rpc.slowest, read_state=read_state, thresholds=thresholds).routes()
        if settings.search_page:
            search = SearchPage(rpc.local_calls, slot, fetch=fetch, max_limit=settings.max_limit)
            stack.callback(search.close)
            pages += search.routes()
        yield pages
