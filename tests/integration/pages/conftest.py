"""A headless Chromium, and pages that report every error, every request, and nothing else; and a search page."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from sample.server_process import ServerProcess, running_server
from tests.conftest import server_flags
from tests.integration.pages.search_page import DOCUMENTS, url_of

EXECUTABLES = ("chromium-headless-shell", "chromium")

PHONE = ViewportSize(width=390, height=844)
DESKTOP = ViewportSize(width=1280, height=900)

WAIT_MILLISECONDS = 20_000
expect.set_options(timeout=WAIT_MILLISECONDS)


@pytest.fixture(scope="module")  # Playwright runs an event loop in this thread until its end.
def browser() -> Iterator[Browser]:
    """A headless Chromium. Skips the test if there is none."""
    found = next(filter(None, map(shutil.which, EXECUTABLES)), None)
    if found is None:
        assert "CI" not in os.environ, "make chromium installs it"
        pytest.skip("Chromium is missing: make chromium")
    with sync_playwright() as playwright:
        # Chromium has no sandbox as root, as in CI.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page, and what it has reported so far: errors and messages on the console, and requests."""

    page: Page
    messages: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)


OpenPage = Callable[..., Opened]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens a page in a new context; checks at the end that it had no errors and used no other host."""
    opened: list[Opened] = []
    contexts: list[BrowserContext] = []

    def open_page(
        url: str, *, size: ViewportSize = DESKTOP, scheme: Literal["light", "dark"] = "light", **options: Any
    ) -> Opened:
        context = browser.new_context(viewport=size, color_scheme=scheme, **options)
        contexts.append(context)
        made = Opened(context.new_page())
        made.page.set_default_timeout(WAIT_MILLISECONDS)
        made.page.on("console", lambda message: made.messages.append(f"{message.type}: {message.text}"))
        made.page.on("pageerror", lambda error: made.messages.append(f"error: {error}"))
        made.page.on("request", lambda request: made.urls.append(request.url))
        opened.append(made)
        made.page.goto(url)
        return made

    yield open_page
    for context in contexts:
        context.close()
    for each in opened:
        origin = "/".join(each.urls[0].split("/")[:3])
        assert [url for url in each.urls if not url.startswith(f"{origin}/")] == []
        assert each.messages == []


def has_no_horizontal_scrolling(page: Page) -> bool:
    """Returns whether the page is no wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue file of the search page."""
    file = tmp_path_factory.mktemp("catalogue") / "catalogue.jsonl"
    file.write_text("\n".join(map(json.dumps, DOCUMENTS)), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, catalogue: Path) -> Iterator[ServerProcess]:
    """A server with a search page."""
    with running_server(server_flags(tiny_bundle, catalogue, "--search-page", "on")) as server:
        yield server


@pytest.fixture
def page(server: ServerProcess, open_page: OpenPage) -> Page:
    """The search page, ready for a query."""
    page = open_page(f"{url_of(server)}/search").page
    expect(page.locator("#about")).to_have_text("4 documents · model tiny")
    return page
