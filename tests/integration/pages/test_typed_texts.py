"""Typed texts on the search page: suggestions, interpretations, and words in composition."""

import urllib.parse

from playwright.sync_api import Page, expect

from sample.server_process import ServerProcess
from tests.integration.pages.search_page import HOSTILE, ask, first_hit, search_for


def test_suggestions_complete_what_is_typed(page: Page) -> None:
    page.locator("#query").press_sequentially("eoc")  # 대ㅊ, on the other keyboard layout.
    expect(page.locator("#suggestions button")).to_have_text(["대출 신청"])
    page.locator("#query").fill("ㅂㄱ")
    expect(page.locator("#suggestions button")).to_have_text(["카드 발급"])
    expect(page.locator("#suggestions b")).to_have_text(["발급"])
    page.locator("#suggestions button").click()
    expect(page.locator("#query")).to_have_value("카드 발급")
    expect(first_hit(page).locator(".id")).to_have_text("card")
    expect(page.locator("#suggestions button")).to_have_count(0)
    page.locator("#query").fill("<img")
    expect(page.locator("#suggestions button")).to_have_text([HOSTILE])
    page.locator("#query").fill("")
    expect(page.locator("#suggestions button")).to_have_count(0)


def test_suggestions_have_the_language_and_the_filters_of_the_search(server: ServerProcess, page: Page) -> None:
    page.locator("#language").select_option("ko")
    search_for(page, "get")
    expect(page.locator("#suggestions button")).to_have_count(0)
    page.locator("#language").select_option("en")
    search_for(page, "get a")
    expect(page.locator("#suggestions button")).to_have_text(["Get a card", "Get a loan"])
    first_hit(page).get_by_text("category: card").click()
    search_for(page, "get ")
    expect(page.locator("#suggestions button")).to_have_text(["Get a card"])


def test_suggestions_are_answered_as_json(server: ServerProcess) -> None:
    status, answer = ask(server, path="/search/suggestions.json", text="카드", limit="1")
    assert status == 200
    assert answer["suggestions"] == [{"text": "카드 발급", "document_id": "card", "start": 0, "end": 2}]
    status, answer = ask(server, path="/search/suggestions.json", text=" ")
    assert (status, answer["reason"]) == (400, "INVALID_REQUEST")
    assert answer["message"].startswith("text: is empty")


def test_what_was_typed_can_be_searched_instead_of_its_interpretation(page: Page) -> None:
    search_for(page, "zkem qkfrmq")
    notice = page.locator("#notices .interpretation")
    expect(notice).to_contain_text("Interpreted as “카드 발급”.")
    expect(first_hit(page).locator(".id")).to_have_text("card")
    notice.get_by_role("button", name="Search for “zkem qkfrmq” instead").click()
    expect(notice).to_have_count(0)
    page.reload()
    expect(page.locator(".hit")).to_have_count(4)
    expect(notice).to_have_count(0)
    search_for(page, "zkem qkfrm")
    expect(notice).to_contain_text("Interpreted as “카드 발급”.")


def test_what_was_searched_instead_and_synonyms_are_shown(server: ServerProcess, page: Page) -> None:
    answer = ask(server, query="대출 신청")[1]
    answer |= {"interpreted_query": "대출", "synonyms": [{"phrase": "대출", "added": ["융자", "여신"]}]}
    page.route("**/search.json*", lambda route: route.fulfill(json=answer))
    search_for(page, "eocnf")
    interpretation = "Interpreted as “대출”. Search for “eocnf” instead"
    expect(page.locator("#notices li")).to_have_text([interpretation, "Synonyms of 대출: 융자, 여신"])


def test_a_word_in_composition_is_searched_once_it_has_a_syllable(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "search.json" in request.url else None)
    compose = """([value, type]) => {
      const query = document.querySelector("#query");
      query.value = value;
      query.dispatchEvent(type === "input"
        ? new InputEvent("input", {isComposing: true, bubbles: true})
        : new CompositionEvent(type, {bubbles: true}));
    }"""
    page.evaluate(compose, ["ㄷ", "input"])
    page.wait_for_timeout(600)
    assert asked == []
    page.evaluate(compose, ["대", "input"])
    expect(page.locator(".hit")).to_have_count(4)
    page.evaluate(compose, ["대출", "compositionend"])
    page.wait_for_timeout(300)
    queries = [urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["query"] for url in asked]
    assert queries == [["대"], ["대출"]]
