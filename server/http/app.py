"""The application of the HTTP port: its paths, and the answers to requests for others."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from types import MappingProxyType

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from server.http.access import OnRefused, TokenGuard
from server.http.hosts import HostGuard
from server.http.port import http_port
from server.http.probes import Probe, probe_routes
from server.http.scrape import scrape_route
from server.metrics import Metrics
from server.rpc.refusals import Refusals
from server.security.https import HttpsCertificate
from server.security.tokens import AccessTokens, read_token
from server.settings import Settings

log = logging.getLogger(__name__)

HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
)
"""Headers of every answer. Pages may use scripts, styles and data of this port only, and no inline ones."""


@contextlib.contextmanager
def served_http(
    settings: Settings, metrics: Metrics, *, alive: Probe, ready: Probe, pages: Sequence[Route], refusals: Refusals
) -> Iterator[str]:
    """Serves the HTTP port; yields its URL. Enter it in the server's event loop.

    Raises SecurityError if the certificate or the token file cannot be used, and AddressError.
    """
    path = settings.http_token_file
    tokens = AccessTokens(path, read_token, flag="--http-token-file") if path else None
    certificate = (
        HttpsCertificate(settings.http_tls_certificate, settings.http_tls_key)
        if settings.http_tls_certificate and settings.http_tls_key
        else None
    )
    if certificate is not None:
        metrics.process.watch_certificate(certificate.expiry_seconds)
    local = settings.metrics.is_loopback
    app = http_app(
        metrics.registry,
        alive=alive,
        ready=ready,
        pages=pages,
        tokens=tokens,
        local=local,
        on_refused=lambda reason, peer: refusals.count(reason, peer=peer),
    )
    with http_port(settings.metrics, app, headers=HEADERS, certificate=certificate) as address:
        if tokens is None and not local:
            log.warning("HTTP on %s, which other machines may reach, without --http-token-file", address)
        yield f"{'https' if certificate else 'http'}://{address}"


def http_app(
    registry: CollectorRegistry,
    *,
    alive: Probe,
    ready: Probe,
    pages: Sequence[Route] = (),
    tokens: AccessTokens | None = None,
    local: bool = False,
    on_refused: OnRefused = lambda _reason, _peer: None,
) -> Starlette:
    """Returns the application with the routes of probes, metrics and `pages`. Call it in the server's event loop.

    With `tokens`, everything but the probes needs one. Without them, pages of a `local` port, which only this machine
    reaches, answer only requests that name this machine. `on_refused` takes requests without a valid token.
    """
    probes, scrape = probe_routes(alive=alive, ready=ready), scrape_route(registry)
    routes = [*probes, scrape, *pages]
    open_paths = {route.path for route in probes}
    middleware = []
    if tokens is not None:
        middleware.append(Middleware(TokenGuard, tokens=tokens, open_paths=open_paths, on_refused=on_refused))
    elif local:
        middleware.append(Middleware(HostGuard, open_paths={*open_paths, scrape.path}))
    paths = ", ".join(route.path for route in routes if route.include_in_schema)

    async def refuse(_: Request, error: Exception) -> Response:
        """Answers a request for an unknown path or with a method that its path does not have."""
        assert isinstance(error, HTTPException)
        advice = {404: f"there are {paths}", 405: "use GET or HEAD"}.get(error.status_code, error.detail)
        return PlainTextResponse(f"{advice}\n", error.status_code, headers=error.headers)

    app = Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={HTTPException: refuse, Exception: _fail},
    )
    app.router.redirect_slashes = False
    return app


async def _fail(request: Request, error: Exception) -> Response:
    """Answers a request on which the application failed."""
    route = request.scope.get("route")
    log.error("a request for %s failed", route.path if isinstance(route, Route) else "no known path", exc_info=error)
    return PlainTextResponse("the server failed on this request; its log says why\n", 500)
