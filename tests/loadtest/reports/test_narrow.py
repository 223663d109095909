"""Pages on a phone, in Chromium."""

from pathlib import Path

import pytest
from playwright.sync_api import ViewportSize

from loadtest.analysis.summary import summarize
from loadtest.reports.page import comparison_page, report_page
from tests.integration.pages.conftest import OpenPage, browser, open_page  # noqa: F401  fixtures
from tests.loadtest.reports.test_page import REPORTED_STAGES, scrape, steady
from tests.loadtest.results_files import record, vitals, write_run

NARROW = ViewportSize(width=420, height=900)
LONG = "a-folder-with-a-long-name/" * 4 + "results-of-the-first-machine-and-of-no-other.bin"


@pytest.mark.parametrize("kind", ["report", "comparison"])
def test_nothing_is_cut_off_at_420_pixels(tmp_path: Path, open_page: OpenPage, kind: str) -> None:  # noqa: F811
    run = write_run(
        tmp_path / LONG,
        [*steady(stages=REPORTED_STAGES, batch_texts=4), record(2.5, 0.01, code="RESOURCE_EXHAUSTED")],
        seconds=3.0,
        target={"address": "search.a-long-name-of-a-host.example.internal.cluster.local:50051"},
        reports=[vitals(seconds=number / 2) for number in range(1, 7)],
        metrics=[scrape(second) for second in range(-1, 4)],
        environment={"command_line": f"python -m loadtest attack --out {LONG}"},
    )
    summary = summarize([run])
    page = tmp_path / "page.html"
    shown = report_page(summary) if kind == "report" else comparison_page({str(run): summary, "other": summary})
    page.write_text(shown, encoding="utf-8")
    opened = open_page(page.as_uri(), size=NARROW)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
    cut_off = """() => [...document.querySelectorAll("h1, h2, p, dd, dt, .prose td, .chart text")].filter((each) => {
        const box = each.getBoundingClientRect();
        return box.width && (box.left < 0 || box.right > innerWidth);
    }).map((each) => each.textContent)"""
    assert opened.page.evaluate(cut_off) == []
    # A table that is wider than the page is scrolled beside the names of its rows.
    for table in opened.page.locator(".wide:not(.prose)").all():
        if not table.evaluate("(each) => { each.scrollLeft = each.scrollWidth; return each.scrollLeft; }"):
            continue
        names = table.locator("tbody th").first.bounding_box()
        assert names is not None
        assert 0 <= names["x"] <= NARROW["width"] / 4
        assert names["width"] <= NARROW["width"] / 2
