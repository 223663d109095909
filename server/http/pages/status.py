"""The status page at `/`, and its figures at `/status.json`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.http.pages.assets import page_routes
from server.http.pages.figures import Figures, Gauges
from server.http.pages.findings import Finding, Thresholds, findings_of
from server.http.pages.sampler import SAMPLE_SECONDS, WINDOW_SECONDS, Sampler
from server.rpc.slowest import SlowestSearches

FILES = ["icon.svg", "common.css", "status.css", "status-narrow.css", "format.js", "charts.js", "status.js"]
FILES += ["uplot/uPlot.min.css", "uplot/uPlot.iife.min.js"]

STATE_SECONDS = 2.0
"""Time for the server's event loop to report the state. If it takes longer, the page says that it hangs."""


class ServerState(msgspec.Struct, frozen=True):
    """The state of the server. While it loads, `activity` names the step; `total` is 0 if it is unknown."""

    name: Literal["loading", "serving", "lagging", "refusing", "draining", "failing", "hanging"]
    activity: str = ""
    done: int = 0
    total: int = 0


class Status(msgspec.Struct, frozen=True):
    """The answer of `/status.json`. Times are Unix times."""

    state: ServerState
    now: float
    window_seconds: float
    sample_seconds: float
    figures: Figures | None
    gauges: Gauges
    findings: list[Finding]
    codes: dict[str, int]
    reasons: dict[str, int]
    slowest: list[dict[str, Any]]
    series: dict[str, list[Any]]


class StatusPage:
    """Answers for the status page, in the thread of the HTTP port. Create it in the server's event loop."""

    def __init__(
        self,
        sampler: Sampler,
        slowest: SlowestSearches,
        *,
        read_state: Callable[[], ServerState],
        thresholds: Thresholds,
    ) -> None:
        """Takes a function that returns the server's state; it is called in the server's event loop."""
        self._sampler = sampler
        self._slowest = slowest
        self._read_state = read_state
        self._thresholds = thresholds
        self._served_loop = asyncio.get_running_loop()

    def routes(self) -> list[Route]:
        """Returns the routes of the page, its files and its figures."""
        return [*page_routes("/", "status.html", FILES), Route("/status.json", self._answer)]

    async def _answer(self, _: Request) -> Response:
        now, state, sampler = time.time(), await self._state(), self._sampler
        findings = findings_of(sampler.figures, sampler.gauges, now=now, thresholds=self._thresholds)
        status = Status(
            state=state,
            now=now,
            window_seconds=WINDOW_SECONDS,
            sample_seconds=SAMPLE_SECONDS,
            figures=sampler.figures,
            gauges=sampler.gauges,
            findings=[] if state.name == "loading" else findings,
            codes=sampler.codes,
            reasons=sampler.reasons,
            slowest=[search._asdict() for search in self._slowest.latest()],
            series=sampler.series,
        )
        return Response(msgspec.json.encode(status), media_type="application/json")

    async def _state(self) -> ServerState:
        async def read() -> ServerState:
            return self._read_state()

        asked = asyncio.run_coroutine_threadsafe(read(), self._served_loop)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(asked), STATE_SECONDS)
        except TimeoutError:
            return ServerState("hanging")
