"""Queries that a running server interprets, and those that it leaves as they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import chaja
from chaja.v1 import (
    AttributeValue,
    BatchSearchRequest,
    Document,
    Equals,
    Filter,
    Interpretation,
    LocalizedText,
    Mode,
    SearchRequest,
    SearchResponse,
    TextUnit,
    Upsert,
    UpsertDocumentsRequest,
)
from sample.server_process import ServerProcess, running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.scraping import scrape_until, total, value
from tests.integration.serving import sample_server, wait_for_line

INTERPRETED = {
    Interpretation.INTERPRETATION_KEYBOARD: {
        "zkem qnstlf": "카드 분실",
        "dlcpgkseh": "이체한도",
        "ghkswjs": "환전",
        "ㅊㅁㄱㅇ ㅣㅑㅡㅑㅅ": "card limit",
    },
    Interpretation.INTERPRETATION_INITIALS: {
        "ㅋㄷ ㅂㅅ": "카드 분실",
        "ㅈㄷㅇㅊ": "자동이체",
        "ㅎㅇㅅㄱ": "해외송금",
    },
    Interpretation.INTERPRETATION_UNFINISHED: {
        "신용ㄷ": "신용대출",
        "카드 ㅂ": "카드",
        "카": "카드",
    },
    Interpretation.INTERPRETATION_SPACES: {"카 드 분 실": "카드분실"},
    Interpretation.INTERPRETATION_TYPO: {"칻드 분실": "카드 분실", "카ㅡ 분실": "카드 분실"},
}
CASES = [(kind, typed, meant) for kind, of_kind in INTERPRETED.items() for typed, meant in of_kind.items()]

UNCHANGED = [
    *("카드를 잃어버렸어요", "카드 분실", "ㅋㅋㅋㅋ", "폰이 물에 빠졌어 ㅠㅠ"),
    *("how do I cancel my card", "work", "top up", "tax forms", "so far so good"),
    *("A1-B2", "SKU12345", "sku12345", "iPhone15", "x7Gk29PqZ", "zkem123", "Zkem!2024qw", "dkssudA1!"),
    *("zkem@qnstlf.com", "https://zkem.com/qnstlf", "010-1234-5678", "110-234-567890"),
    *("ㅋ🙂ㄷ", "🙂", "카ㅏㄷ ㅋ드zㅏ", "ㅋㄷ" * 30, "ㅏ"),
]


def request(query: str, *, interpret: bool | None = None, page_token: str = "", limit: int = 3) -> SearchRequest:
    return SearchRequest(
        query=query,
        limit=limit,
        mode=Mode.MODE_HYBRID,
        highlight=TextUnit.TEXT_UNIT_CODE_POINT,
        interpret=interpret,
        page_token=page_token,
    )


def compared(response: SearchResponse) -> SearchResponse:
    """Returns an answer without what differs between equal searches, or because of an interpretation."""
    for field in ("timings", "interpretation", "interpreted_query", "next_page_token", "search_id"):
        response.ClearField(field)
    return response


@pytest.mark.parametrize(("kind", "typed", "meant"), CASES)
def test_what_was_meant_is_searched_and_highlighted(
    tiny_server: ServerProcess, kind: Interpretation.ValueType, typed: str, meant: str
) -> None:
    with chaja.connect(tiny_server.address) as client:
        found = client.search.Search(request(typed))
        assert found.interpretation == kind
        assert found.interpreted_query.startswith(meant)
        expected = client.search.Search(request(found.interpreted_query))
        assert (expected.interpreted_query, expected.interpretation) == ("", 0)
        literal = client.search.Search(request(typed, interpret=False))
        assert (literal.interpreted_query, literal.interpretation) == ("", 0)
        assert compared(found) == compared(expected) != compared(literal)


@pytest.mark.parametrize("query", UNCHANGED)
def test_other_queries_are_searched_as_they_are(tiny_server: ServerProcess, query: str) -> None:
    with chaja.connect(tiny_server.address) as client:
        found = client.search.Search(request(query))
        assert (found.interpreted_query, found.interpretation) == ("", 0)
        assert compared(found) == compared(client.search.Search(request(query, interpret=False)))


@pytest.mark.parametrize("query", ["ㅋㄷ" * 500, "rk" * 500, "카 " * 333, "ㅋㄷ 🙂 " * 200, "카ㅏㄷ ㅋ드zㅏ" * 100])
def test_long_queries_are_searched_as_they_are(tiny_server: ServerProcess, query: str) -> None:
    asked = SearchRequest(query=query, mode=Mode.MODE_LEXICAL)  # The model has too few tokens.
    with chaja.connect(tiny_server.address) as client:
        assert client.search.Search(asked).interpreted_query == ""


def test_batches_and_streams_interpret_each_query(tiny_server: ServerProcess) -> None:
    typed = [typed for _, typed, _ in CASES] + ["카드 분실", "lost card"]
    requests = [request(each) for each in typed] + [request("ㅋㄷ ㅂㅅ", interpret=False)]
    with chaja.connect(tiny_server.address) as client:
        single = [client.search.Search(each) for each in requests]
        batched = client.search.BatchSearch(BatchSearchRequest(requests=requests)).responses
        streamed = [answer.response for answer in client.search.SearchStream(iter(requests))]
    expected = [(each.interpreted_query, each.interpretation) for each in single]
    assert [bool(text) for text, _ in expected] == [True] * len(CASES) + [False] * 3
    for answers in (batched, streamed):
        assert [(each.interpreted_query, each.interpretation) for each in answers] == expected
        assert [list(each.hits) for each in answers] == [list(each.hits) for each in single]


def upsert(number: int, title: str, bank: str = "a") -> Upsert:
    document = Document(id=f"{number}", titles=[LocalizedText(language_code="ko", text=title)])
    document.attributes["bank"] = bank
    return Upsert(document=document)


@pytest.fixture
def empty_server(tiny_bundle: Path, tmp_path: Path) -> Iterator[chaja.Client]:
    flags = server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--data", str(tmp_path / "data"))
    del flags[flags.index("--catalogue") : flags.index("--catalogue") + 2]
    with running_server(flags) as server, chaja.connect(server.address) as client:
        yield client


def write(client: chaja.Client, *titles: str, bank: str = "a", first: int = 0) -> None:
    upserts = [upsert(number, title, bank) for number, title in enumerate(titles, start=first)]
    client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=upserts))


def test_the_next_write_is_read_and_pages_are_of_what_the_first_one_has_read(empty_server: chaja.Client) -> None:
    search = empty_server.search.Search
    assert search(request("ㅋㄷ ㅂㅅ")).interpreted_query == ""
    write(empty_server, "카드 분실", "카드 해지", "카드 발급", "카드 혜택")
    first, meant = search(request("ㅋㄷ ㅂㅅ", limit=2)), search(request("카드 분실", limit=2))
    assert first.interpreted_query == "카드 분실"
    write(empty_server, "카드 복사", "카드 복사 값", "카드 복사 안내", first=10)
    assert search(request("ㅋㄷ ㅂㅅ")).interpreted_query == "카드 복사", "it is read otherwise now"
    second = search(request("ㅋㄷ ㅂㅅ", page_token=first.next_page_token))
    assert (second.interpreted_query, second.interpretation) == ("카드 분실", first.interpretation)
    assert second.hits == search(request("카드 분실", page_token=meant.next_page_token)).hits


def test_an_interpretation_shows_no_text_that_the_filter_excludes(empty_server: chaja.Client) -> None:
    write(empty_server, "카드 분실", bank="a")
    write(empty_server, "카드 발송", bank="b", first=10)
    for bank, text in (("a", "카드 분실"), ("b", "카드 발송"), ("c", "")):
        asked = request("ㅋㄷ ㅂㅅ")
        asked.filter.CopyFrom(Filter(equals=Equals(attribute="bank", value=AttributeValue(string_value=bank))))
        assert empty_server.search.Search(asked).interpreted_query == text


def test_a_text_of_the_catalogue_beyond_the_maximum_of_the_model_is_no_error(empty_server: chaja.Client) -> None:
    title = "아주 긴 제목 " * 30
    write(empty_server, title)
    found = empty_server.search.Search(request("ㅇㅈ ㄱ ㅈㅁ"))
    assert title.startswith(found.interpreted_query)
    assert [hit.document_id for hit in found.hits] == ["0"]


@pytest.mark.parametrize("shown", ["on", "off"])
def test_logs_show_an_interpreted_query_only_if_allowed(tiny_bundle: Path, shown: str) -> None:
    flags = ("--slow-query-seconds", "1e-9", "--log-texts", shown)
    with sample_server(tiny_bundle, *flags) as server, chaja.connect(server.address) as client:
        client.search.Search(request("dlcpgkseh"))
        client.search.Search(request("환율"))
        wait_for_line(server, "interpretation=keyboard", "query_characters=9")
        wait_for_line(server, "query_characters=2")
        (line,) = (line for line in server.lines if "interpretation=" in line)
        assert [text in line for text in ("이체한도", "dlcpgkseh")] == [shown == "on"] * 2
        assert sum("interpreted_query" in line for line in server.lines) == (shown == "on")


def test_interpretations_are_counted(tiny_bundle: Path) -> None:
    with sample_server(tiny_bundle) as server, chaja.connect(server.address) as client:
        for _, typed, _ in CASES:
            client.search.Search(request(typed))
        client.search.Search(request("환율"))
        searches = len(CASES) + 1
        counted = scrape_until(server.metrics_url, lambda found: total(found, "chaja_searches_total") == searches)
    for kind, of_kind in INTERPRETED.items():
        name = Interpretation.Name(kind).removeprefix("INTERPRETATION_").lower()
        assert value(counted, "chaja_searches_interpreted_total", interpretation=name) == len(of_kind)


@pytest.mark.parametrize("mode", [Mode.MODE_LEXICAL, Mode.MODE_HYBRID])
def test_the_search_by_words_takes_a_word_that_differs_in_one_letter(
    tiny_server: ServerProcess, mode: Mode.ValueType
) -> None:
    asked = request("더치패이")
    asked.mode = mode
    with chaja.connect(tiny_server.address) as client:
        found = client.search.Search(asked)
        asked.interpret = False
        literal = client.search.Search(asked)
    assert found.interpreted_query == ""
    title, ranges = found.hits[0].title, found.hits[0].highlights.title
    assert "더치페이" in [title[each.start : each.end] for each in ranges]
    assert found.hits[0].lexical_score > literal.hits[0].lexical_score
