import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import ViewportSize, expect

import chaja
from chaja.v1 import SearchRequest
from sample.server_process import ServerProcess
from tests.deploy.load import load
from tests.integration.pages.conftest import OpenPage, has_no_horizontal_scrolling
from tests.integration.scraping import scrape, total, value
from tests.integration.serving import sample_server, wait_until

STAGES = ["tokenize", "queue", "encode", "search", "fetch"]


def url_of(server: ServerProcess) -> str:
    return server.metrics_url.removesuffix("/metrics")


def status_of(server: ServerProcess) -> Any:
    with urllib.request.urlopen(f"{url_of(server)}/status.json", timeout=30) as response:  # noqa: S310  our own server
        return json.load(response)


@pytest.fixture(scope="module")
def busy_server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that has answered calls of every kind, and has taken samples since."""
    store = tmp_path_factory.mktemp("store")
    with sample_server(tiny_bundle, "--data", str(store), "--encode-workers", "1") as server:
        with load(server.address):
            wait_until(lambda: len(status_of(server)["series"].get("at", [])) >= 2)
        samples = scrape(server.metrics_url)
        ended = sum(total(samples, name) for name in ("grpc_server_handled_total", "chaja_stream_queries_total"))
        wait_until(lambda: sum(status_of(server)["codes"].values()) >= ended)
        yield server


def figure(text: str | None) -> float:
    """Returns the number at the beginning of a text such as `1,234 documents`."""
    found = re.match(r"[\d.,]+", text or "")
    assert found is not None, text
    return float(found[0].replace(",", ""))


def test_the_figures_are_those_of_the_metrics(busy_server: ServerProcess, open_page: OpenPage) -> None:
    page = open_page(f"{url_of(busy_server)}/").page
    expect(page.locator("#state-word")).to_have_text("Serving")
    samples = scrape(busy_server.metrics_url)
    tiles = {
        tile.locator("dt").inner_text(): tile.locator("dd.number").inner_text() for tile in page.locator(".tile").all()
    }
    assert figure(tiles["Catalogue"]) == value(samples, "chaja_catalogue_documents")
    assert tiles["Recall@10"] == "1.000"
    assert figure(tiles["Queue"]) == 0
    texts, batches = (value(samples, f"chaja_batch_texts_{each}") for each in ("sum", "count"))
    assert figure(tiles["Batch, mean"]) == pytest.approx(texts / batches, rel=1)  # The window has no start-up.
    assert figure(tiles["Time of a search, p99"]) > 0
    assert 0 < figure(tiles["Queries from the cache"]) <= 100

    facts = {
        row.locator("dt").inner_text(): row.locator("dd").inner_text() for row in page.locator("#facts dl > div").all()
    }
    for code in ("OK", "InvalidArgument"):
        counted = total(samples, "grpc_server_handled_total", grpc_code=code)
        counted += value(samples, "chaja_stream_queries_total", grpc_code=code)
        assert figure(facts[code]) == counted
    assert figure(facts["INVALID_REQUEST"]) == value(samples, "chaja_call_errors_total", reason="INVALID_REQUEST")
    assert facts["model"] == "tiny"

    rows = [[cell.inner_text() for cell in row.locator("th, td").all()] for row in page.locator("#stages tr").all()]
    assert [row[0] for row in rows] == STAGES
    assert all(re.fullmatch(r"[\d.,]+ m?s", cell) for row in rows for cell in row[1:4])
    shares = [figure(row[4]) for row in rows]
    assert sum(shares) == pytest.approx(100, abs=1)
    methods = page.locator("#methods th").all_inner_texts()
    assert {"Search", "BatchSearch", "SearchStream", "Encode", "UpsertDocuments", "ListDocuments"} <= set(methods)


def test_the_percentiles_are_those_of_the_buckets(busy_server: ServerProcess) -> None:
    status, samples = status_of(busy_server), scrape(busy_server.metrics_url)
    stages = {each["stage"]: each["percentiles"] for each in status["figures"]["stages"]}
    for stage in STAGES:
        buckets = sorted(
            (float(dict(labels)["le"]), count)
            for (name, labels), count in samples.items()
            if name == "chaja_stage_seconds_bucket" and dict(labels)["stage"] == stage
        )
        # The bucket of the median since the start; the window began with the load.
        median = next(bound for bound, count in buckets if count >= buckets[-1][1] / 2)
        assert 0 < stages[stage]["p50_seconds"] <= stages[stage]["p95_seconds"] <= stages[stage]["p99_seconds"]
        assert stages[stage]["p50_seconds"] <= 4 * median


def test_the_charts_draw_in_both_colour_schemes(busy_server: ServerProcess, open_page: OpenPage) -> None:
    colours = set()
    for scheme in ("light", "dark"):
        page = open_page(f"{url_of(busy_server)}/", scheme=scheme).page
        expect(page.locator("#charts canvas")).to_have_count(9)
        drawn = page.locator("#charts canvas").evaluate_all(
            "canvases => canvases.map(each => each.getContext('2d')"
            ".getImageData(0, 0, each.width, each.height).data.some(value => value > 0))"
        )
        assert drawn == [True] * 9
        colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
        expect(page.locator("#charts canvas")).to_have_count(9)
    assert len(colours) == 2


def test_a_chart_shows_earlier_values_by_keyboard(busy_server: ServerProcess, open_page: OpenPage) -> None:
    page = open_page(f"{url_of(busy_server)}/").page
    plot = page.locator(".chart .plot").first
    expect(plot).to_have_attribute("aria-label", re.compile(r"^Calls per second, the last 15 minutes\. Now: all \d"))
    plot.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".chart .when").first).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    page.keyboard.press("Escape")
    expect(page.locator(".chart .when").first).to_have_text("")


def test_a_phone_needs_no_horizontal_scrolling(busy_server: ServerProcess, open_page: OpenPage) -> None:
    for width in (390, 320):
        page = open_page(f"{url_of(busy_server)}/", size=ViewportSize(width=width, height=844), has_touch=True).page
        expect(page.locator("#stages tr")).to_have_count(5)
        expect(page.locator("#charts canvas")).to_have_count(9)
        assert has_no_horizontal_scrolling(page), width


def test_the_slowest_searches_show_no_texts(busy_server: ServerProcess, open_page: OpenPage) -> None:
    page = open_page(f"{url_of(busy_server)}/").page
    expect(page.locator("#slowest-rows tr").first).to_contain_text(re.compile(r"\d+ characters"))
    assert page.locator("#slowest-rows tr").count() == 10
    assert {each["text"] for each in status_of(busy_server)["slowest"]} == {None}


def test_texts_of_the_slowest_searches_are_text_even_if_they_look_like_html(
    tiny_bundle: Path, open_page: OpenPage
) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    with sample_server(tiny_bundle, "--log-texts", "on") as server:
        with chaja.connect(server.address) as client:
            client.search.Search(SearchRequest(query=hostile))
        page = open_page(f"{url_of(server)}/").page
        expect(page.locator("#slowest-rows")).to_contain_text(hostile)
        assert page.locator("#slowest-rows img").count() == 0


def test_the_updates_can_be_paused(busy_server: ServerProcess, open_page: OpenPage) -> None:
    opened = open_page(f"{url_of(busy_server)}/")
    page = opened.page
    expect(page.locator("#state-word")).to_have_text("Serving")
    page.get_by_role("button", name="Pause").click()
    asked = len(opened.urls)
    page.wait_for_timeout(6000)
    assert len(opened.urls) == asked
    with page.expect_request("**/status.json"):
        page.get_by_role("button", name="Continue").click()


def test_other_sites_cannot_frame_the_page_and_it_runs_no_inline_code(busy_server: ServerProcess) -> None:
    with urllib.request.urlopen(f"{url_of(busy_server)}/", timeout=30) as response:  # noqa: S310  our own server
        policy = response.headers["Content-Security-Policy"]
        page = response.read().decode()
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "//" not in re.sub(r"<!--.*?-->", "", page)  # No address of another host.
