import json
import re
import threading
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from sample.server_process import ServerProcess, running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.pages.conftest import PHONE, OpenPage, has_no_horizontal_scrolling
from tests.integration.pages.search_page import HOSTILE, LONG, ask, first_hit, search_for, status_as, url_of
from tests.integration.scraping import scrape, scrape_until, status_of, total, value
from tests.integration.serving import sample_server, start_error

TOKEN = "correct-horse-battery"


def test_hits_appear_while_the_user_types(server: ServerProcess, page: Page) -> None:
    page.locator("#query").press_sequentially("카드 발급")
    expect(first_hit(page).locator("h2")).to_have_text("카드 발급")
    expect(first_hit(page).locator(".id")).to_have_text("card")
    expect(page.locator("#summary")).to_have_text(
        re.compile(r"^4 hits in [\d.]+ m?s; [\d.]+ m?s with the way to this browser$")
    )
    stages = [item.split(" ")[0] for item in page.locator("#stages li").all_inner_texts()]
    assert stages[:2] == ["tokenize", "queue"]
    assert stages[-2:] == ["search", "fetch"]
    scores = page.locator(".hit").first.locator(".scores dt").all_inner_texts()
    assert scores == ["score", "dense", "lexical"]
    page.locator("#query").fill("")
    expect(page.locator(".hit")).to_have_count(0)
    expect(page.locator("#start")).to_be_visible()


def test_the_figures_of_a_hit_are_those_of_the_answer(server: ServerProcess, page: Page) -> None:
    _, answer = ask(server, query="대출 신청")
    search_for(page, "대출 신청")
    expect(first_hit(page).locator(".id")).to_have_text("loan")
    hit = answer["hits"][0]
    shown = first_hit(page).locator(".scores dd").all_inner_texts()
    assert shown[0] == f"{hit['score']:.3f}"
    assert float(shown[1]) == pytest.approx(hit["dense_score"], abs=0.001)


def test_the_passage_that_matched_is_marked(page: Page) -> None:
    page.get_by_text("dense", exact=True).click()
    search_for(page, "카드를 새로 만들어요.")
    expect(first_hit(page).locator(".id")).to_have_text("text")
    passage = first_hit(page).locator("mark").inner_text()
    assert passage
    assert passage in LONG
    expect(first_hit(page).locator(".where")).to_have_text("matched its text (ko)")
    assert first_hit(page).locator("mark b").count() > 0


def test_a_hit_names_the_rules_that_have_moved_it(
    tiny_bundle: Path, catalogue: Path, tmp_path: Path, open_page: OpenPage
) -> None:
    price = {"attribute": "price", "share": 0.5, "half_value": 1}
    rules = [
        {"id": "loans", "query": "카드", "match": "contains", "pinned_ids": ["loan"]},
        {"id": "p", "boosts": [price]},
    ]
    file = tmp_path / "rules.jsonl"
    file.write_text("\n".join(map(json.dumps, rules)), encoding="utf-8")
    flags = server_flags(tiny_bundle, catalogue, "--search-page", "on", "--rules", str(file))
    with running_server(flags) as server:
        page = open_page(f"{url_of(server)}/search").page
        search_for(page, "카드 발급")
        expect(first_hit(page).locator(".id")).to_have_text("loan")
        expect(first_hit(page).locator(".rule")).to_have_text("pinned by the rule loans")
        expect(page.locator(".rule").nth(1)).to_have_text(re.compile(r"^boosted by the rule p \([+−]\d+\.\d{3}\)$"))


def test_titles_appear_in_the_chosen_language(page: Page) -> None:
    search_for(page, "카드 발급")
    page.locator("#language").select_option("en")
    expect(first_hit(page).locator("h2")).to_have_text("Get a card")
    page.locator("#language").select_option("ko")
    expect(first_hit(page).locator("h2")).to_have_text("카드 발급")


def test_filters_restrict_the_hits(page: Page) -> None:
    search_for(page, "카드 발급")
    expect(page.locator(".hit")).to_have_count(4)
    page.get_by_role("button", name="Add a filter").click()
    page.get_by_label("Attribute", exact=True).select_option("category")
    page.get_by_label("Value", exact=True).select_option("loan (1)")
    expect(page.locator(".hit .id")).to_have_text(["loan"])
    page.get_by_role("button", name="Remove the filter on category").click()
    expect(page.locator(".hit")).to_have_count(4)
    page.get_by_role("button", name="Add a filter").click()
    page.get_by_label("Attribute", exact=True).select_option("price")
    page.get_by_label("Comparison").select_option("at least")
    page.get_by_label("Value", exact=True).fill("4")
    page.get_by_label("Value", exact=True).press("Tab")
    expect(page.locator(".hit .id")).to_have_text(["loan"])
    page.get_by_label("Value", exact=True).fill("9")
    page.get_by_label("Value", exact=True).press("Tab")
    expect(page.locator("#summary")).to_have_text("No hits: no document matches the filters.")


def test_an_attribute_of_a_hit_becomes_a_filter(page: Page) -> None:
    search_for(page, "카드 발급")
    first_hit(page).get_by_role("button", name="category: card").click()
    expect(page.locator(".hit .id")).to_have_text(["card", "text"])
    page.reload()  # The address keeps the search.
    expect(page.locator(".hit .id")).to_have_text(["card", "text"])
    expect(page.locator("#query")).to_have_value("카드 발급")


def test_texts_of_documents_and_users_are_never_html(page: Page) -> None:
    search_for(page, HOSTILE)
    expect(first_hit(page).locator("h2")).to_have_text(HOSTILE)
    expect(first_hit(page).locator(".match")).to_contain_text(HOSTILE)
    first_hit(page).locator(".attributes button").click()
    expect(page.locator(".hit .id")).to_have_text([HOSTILE])
    assert page.locator("main img").count() == 0
    assert page.title() == "Search · Chaja"


def test_only_the_newest_answer_is_shown(page: Page) -> None:
    held: list[Route] = []
    released = threading.Event()

    def hold(route: Route) -> None:
        if "slow" in route.request.url and not released.is_set():
            held.append(route)
        else:
            route.continue_()

    page.route("**/search.json*", hold)
    page.locator("#query").fill("slow")
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "true")
    page.wait_for_timeout(300)
    assert held
    page.locator("#query").fill("대출 신청")
    expect(first_hit(page).locator(".id")).to_have_text("loan")
    released.set()
    for route in held:
        route.fulfill(json={"hits": [], "stages": {}, "warnings": [], "no_good_answer": False})
    page.wait_for_timeout(300)
    expect(first_hit(page).locator(".id")).to_have_text("loan")


def test_errors_are_explained_and_the_next_search_works(server: ServerProcess, open_page: OpenPage) -> None:
    opened = open_page(f"{url_of(server)}/search")
    page, failed = opened.page, re.compile("failed")
    page.locator("#query").fill("x" * 1001)
    expect(page.locator("#summary")).to_have_text("Query: has 1001 characters; at most 1000 are allowed: shorten it.")
    expect(page.locator("#summary")).to_have_class(failed)
    page.route("**/search.json*", lambda route: route.abort())
    page.locator("#query").fill("대출")
    expect(page.locator("#summary")).to_contain_text("The server does not answer")
    page.unroute("**/search.json*")
    overloaded = {"message": "the server is overloaded: try again", "reason": "OVERLOADED", "retry_seconds": 0.2}
    page.route("**/search.json*", lambda route: route.fulfill(status=429, json=overloaded), times=1)
    page.locator("#query").fill("대출 신청")
    expect(first_hit(page).locator(".id")).to_have_text("loan")  # The page has tried again.
    expect(page.locator("#summary")).not_to_have_class(failed)
    assert all("Failed to load resource" in message for message in opened.messages)
    opened.messages.clear()


def test_warnings_and_a_missing_answer_are_shown(server: ServerProcess, page: Page) -> None:
    answer = ask(server, query="대출 신청")[1]
    answer |= {"no_good_answer": True, "warnings": ["filter.equals: no document has the attribute 'x'"]}
    page.route("**/search.json*", lambda route: route.fulfill(json=answer))
    search_for(page, "대출")
    expect(page.locator("#notices li")).to_have_text(
        [
            "The catalogue seems to have no good answer. These are the nearest documents.",
            "filter.equals: no document has the attribute 'x'",
        ]
    )


def test_a_lexical_search_without_shared_words_says_so(page: Page) -> None:
    page.get_by_text("lexical", exact=True).click()
    search_for(page, "zzzz")
    expect(page.locator("#summary")).to_contain_text("No hits: no document shares a word with the query.")


def test_a_phone_needs_no_horizontal_scrolling(server: ServerProcess, open_page: OpenPage) -> None:
    page = open_page(f"{url_of(server)}/search", size=PHONE, has_touch=True).page
    search_for(page, HOSTILE)
    expect(page.locator(".hit")).to_have_count(4)
    page.get_by_role("button", name="Add a filter").click()
    expect(page.locator("#filters li")).to_have_count(1)
    assert has_no_horizontal_scrolling(page)


def test_a_search_of_the_page_counts_like_any_call(server: ServerProcess) -> None:
    labels = {"grpc_method": "Search", "grpc_code": "OK"}
    before = total(scrape(server.metrics_url), "grpc_server_handled_total", **labels)
    status, answer = ask(server, query="카드", mode="dense", limit="2")
    assert (status, len(answer["hits"])) == (200, 2)
    assert answer["hits"][0]["lexical_score"] is None
    after = scrape_until(
        server.metrics_url, lambda now: total(now, "grpc_server_handled_total", **labels) == before + 1
    )
    assert value(after, "chaja_stage_seconds_count", stage="fetch") >= 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"query": ""}, "query: is empty; send at least one visible character"),
        ({"query": "x", "limit": "1000"}, "limit: is 1000; it must be 1 to 100, or 0 for the default of 10"),
        ({"query": "x", "mode": "fast"}, "mode: must be one of hybrid, dense, lexical"),
        ({"query": "x", "filter": '{"equals":{}}'}, "filter.equals.attribute: is empty"),
        ({"query": "x", "page": "2"}, "page: is unknown; there are query, limit"),
    ],
)
def test_invalid_requests_are_refused(server: ServerProcess, parameters: dict[str, str], message: str) -> None:
    status, answer = ask(server, **parameters)
    assert (status, answer["reason"]) == (400, "INVALID_REQUEST")
    assert answer["message"].startswith(message)


def test_pages_of_other_sites_cannot_read_answers_by_another_name(server: ServerProcess) -> None:
    for host in ("attacker.example:9464", "10.1.1.1", "localhost.attacker.example", "user@localhost", 'a"b.example'):
        assert status_as(server, "/search.json", host=host) == 403, host
        assert status_as(server, "/status.json", host=host) == 403, host
        assert status_as(server, "/healthz", host=host) == 200, host
    for host in ("localhost:1", "127.0.0.1", "[::1]:9464"):
        assert ask(server, host=host, query="카드")[0] == 200, host


def test_with_tokens_the_page_asks_for_one(
    tiny_bundle: Path, catalogue: Path, tmp_path: Path, open_page: OpenPage
) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"search page {TOKEN}\n", encoding="utf-8")
    flags = server_flags(tiny_bundle, catalogue, "--search-page", "on", "--tokens", str(file))
    with running_server(flags) as server:
        assert ask(server, query="카드")[0] == 401
        assert ask(server, query="카드", token="wrong")[0] == 401
        assert ask(server, query="카드", token=TOKEN)[0] == 200
        opened = open_page(f"{url_of(server)}/search")
        page = opened.page
        expect(page.locator("#search")).to_be_hidden()
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#token-error")).to_have_text("The server does not know this token.")
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        search_for(page, "대출 신청")
        expect(first_hit(page).locator(".id")).to_have_text("loan")
        assert not any(TOKEN in url for url in opened.urls)
        assert page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
        opened.messages.clear()  # The browser reports each 401.


def test_the_page_is_off_by_default(tiny_bundle: Path) -> None:
    with sample_server(tiny_bundle) as server:
        paths = ("/search", "/search.json?query=x", "/search/options.json", "/pages/search.js")
        assert [status_of(server.metrics_url, path) for path in paths] == [404] * 4


def test_another_address_than_loopback_needs_a_token(tiny_bundle: Path, tmp_path: Path, open_page: OpenPage) -> None:
    flags = ("--search-page", "on", "--metrics", "0.0.0.0:0")
    assert start_error(tiny_bundle, *flags, code=2) == (
        "server: error: --search-page on would show documents to all who reach 0.0.0.0:0: set --http-token-file, or a "
        "loopback address such as 127.0.0.1:9464 in --metrics"
    )
    file = tmp_path / "http-token"
    file.write_text(TOKEN, encoding="utf-8")
    more = ("--http-token-file", str(file))
    with running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE, *flags, *more)) as server:
        url = url_of(server).replace("0.0.0.0", "127.0.0.2")
        assert status_of(f"{url}/metrics", "/search") == 401
        page = open_page(f"{url}/search", http_credentials={"username": "any", "password": TOKEN}).page
        search_for(page, "카드")
        expect(page.locator(".hit")).to_have_count(10)
