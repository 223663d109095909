"""An HTTP port, in a thread beside the event loop of the test, which plays the server's."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import pytest
from prometheus_client import CollectorRegistry, Counter
from starlette.routing import Route

from server.http.app import HEADERS, http_app
from server.http.port import http_port
from server.security.https import HttpsCertificate
from server.security.tokens import AccessTokens
from server.setting_types import Address
from tests.server.http.port_client import Port

Opened = Callable[..., contextlib.AbstractContextManager[Port]]


@pytest.fixture
def opened() -> Opened:
    """Opens ports: a registry of two counters, the given pages, tokens and certificate."""

    @contextlib.contextmanager
    def opened(
        *,
        pages: Sequence[Route] = (),
        tokens: AccessTokens | None = None,
        certificate: HttpsCertificate | None = None,
    ) -> Iterator[Port]:
        registry = CollectorRegistry()
        for name in ("apples", "pears"):
            Counter(name, "Fruit.", registry=registry).inc(3)
        port = Port(Address("127.0.0.1", 0))
        app = http_app(
            registry,
            alive=lambda: port.alive,
            ready=lambda: port.ready,
            pages=pages,
            tokens=tokens,
            on_refused=lambda *refusal: port.refused.append(refusal),
        )
        with http_port(port.address, app, headers=HEADERS, certificate=certificate) as port.address:
            yield port

    return opened


@pytest.fixture
async def port(opened: Opened, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Port]:
    """A port whose clients make it log nothing."""
    with caplog.at_level(logging.INFO), opened() as port:
        yield port
    assert not caplog.records
