"""The search page of a server with four documents: its address, its elements, and its answers as JSON."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from playwright.sync_api import Page

from sample.server_process import ServerProcess

HOSTILE = '<img src="x" onerror="document.title=\'hacked\'">'
LONG = f"{'앞에 있는 글. ' * 20}카드를 새로 만들어요."

DOCUMENTS = [
    {"id": "card", "title": {"ko": "카드 발급", "en": "Get a card"}, "attributes": {"category": "card", "price": 3}},
    {"id": "loan", "title": {"ko": "대출 신청", "en": "Get a loan"}, "attributes": {"category": "loan", "price": 5}},
    {"id": "text", "title": {"en": "Other things"}, "text": {"ko": LONG}, "attributes": {"category": "card"}},
    {"id": HOSTILE, "title": HOSTILE, "text": HOSTILE, "examples": [HOSTILE], "attributes": {HOSTILE: HOSTILE}},
]


def url_of(server: ServerProcess) -> str:
    return server.metrics_url.removesuffix("/metrics")


def search_for(page: Page, text: str) -> None:
    """Enters a query at once, so that no answer to a part of it appears."""
    page.locator("#query").fill(text)


def first_hit(page: Page) -> Any:
    return page.locator(".hit").first


def ask(
    server: ServerProcess, *, path: str = "/search.json", token: str = "", host: str = "", **parameters: str
) -> tuple[int, Any]:
    """Returns the status and the JSON of an answer."""
    url = f"{url_of(server)}{path}?{urllib.parse.urlencode(parameters)}"
    headers = {name: text for name, text in (("X-Chaja-Token", token), ("Host", host)) if text}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  our own server
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            return int(response.status), json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def status_as(server: ServerProcess, path: str, *, host: str) -> int:
    request = urllib.request.Request(url_of(server) + path, headers={"Host": host})  # noqa: S310  our own server
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
