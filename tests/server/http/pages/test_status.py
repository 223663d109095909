import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from server.http.pages import status as status_module
from server.http.pages.findings import Thresholds
from server.http.pages.sampler import Sampler
from server.http.pages.status import ServerState, StatusPage
from server.rpc.slowest import SlowestSearches
from tests.server.http.conftest import Opened
from tests.server.http.pages.observing import OK, SEARCH_PATH, end_calls, new_metrics
from tests.server.http.port_client import Port


class Served:
    """A status page on a port, and the state that it reports."""

    def __init__(self) -> None:
        self.metrics = new_metrics()
        self.sampler = Sampler(self.metrics.registry)
        self.state = ServerState("serving")
        thresholds = Thresholds(min_recall=0.95)
        slowest = SlowestSearches(show_texts=False)
        self.page = StatusPage(self.sampler, slowest, read_state=lambda: self.state, thresholds=thresholds)
        self.port: Port

    async def json(self) -> dict[str, object]:
        status, body = await asyncio.to_thread(self.port.get, "/status.json")
        assert status == 200
        found = json.loads(body)
        assert isinstance(found, dict)
        return found


@pytest.fixture
async def served(opened: Opened) -> AsyncIterator[Served]:
    served = Served()
    with opened(pages=served.page.routes()) as served.port:
        yield served


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/pages/status.js", "text/javascript; charset=utf-8"),
        ("/pages/status.css", "text/css; charset=utf-8"),
        ("/pages/icon.svg", "image/svg+xml"),
        ("/pages/uplot/uPlot.iife.min.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_the_page_and_its_files_have_their_types(served: Served, path: str, kind: str) -> None:
    def head() -> tuple[int, str | None]:
        with served.port.response(path, method="HEAD") as answer:
            return answer.status, answer.headers["Content-Type"]

    assert await asyncio.to_thread(head) == (200, kind)


async def test_an_unknown_path_is_answered_with_the_pages_and_not_their_files(served: Served) -> None:
    status, body = await asyncio.to_thread(served.port.get, "/other")
    assert (status, body) == (404, "there are /healthz, /readyz, /metrics, /, /status.json\n")


async def test_the_html_has_no_inline_scripts_or_styles(served: Served) -> None:
    _, page = await asyncio.to_thread(served.port.get, "/")
    assert "<style" not in page
    assert "style=" not in page
    assert "onclick" not in page
    assert page.count("<script") == page.count("<script src=")


async def test_the_figures_follow_the_samples(served: Served) -> None:
    before = await served.json()
    assert (before["figures"], before["series"]) == (None, {})
    end_calls(served.metrics, SEARCH_PATH, code=OK, seconds=0.004, count=3)
    served.sampler.sample()
    after = await served.json()
    assert after["codes"] == {"OK": 3}
    assert isinstance(after["series"], dict)
    assert len(after["series"]["calls_per_second"]) == 1
    assert isinstance(after["figures"], dict)
    assert after["figures"]["search"]["p50_seconds"] == pytest.approx(0.00375)
    assert after["figures"]["predicted_wait_seconds"] == 0
    assert isinstance(after["now"], float)
    assert abs(after["now"] - time.time()) < 60


async def test_a_server_that_loads_says_what_it_does_and_has_no_findings(served: Served) -> None:
    served.metrics.index.recall["search"].set(0.1)
    served.sampler.sample()
    served.state = ServerState("loading", "indexing the stored documents", 512, 5000)
    found = await served.json()
    assert found["state"] == {
        "name": "loading",
        "activity": "indexing the stored documents",
        "done": 512,
        "total": 5000,
    }
    assert found["findings"] == []
    served.state = ServerState("draining")
    assert {each["alert"] for each in (await served.json())["findings"]} >= {"ChajaRecallLow"}  # type: ignore[attr-defined]


async def test_a_server_whose_event_loop_hangs_is_reported(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_module, "STATE_SECONDS", 0.1)
    _, body = served.port.get("/status.json")  # The call blocks the server's event loop.
    assert json.loads(body)["state"]["name"] == "hanging"
    assert (await served.json())["state"] == {"name": "serving", "activity": "", "done": 0, "total": 0}
