"""Synonyms of a running server: their rules, their file, and searches with them."""

import contextlib
import signal
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

import chaja
from chaja.v1 import (
    BatchSearchRequest,
    ChangeSynonymsRequest,
    Document,
    Expansion,
    ListSynonymsRequest,
    LocalizedText,
    Mode,
    ReloadRequest,
    SearchRequest,
    SearchResponse,
    SynonymKind,
    SynonymRule,
    TextUnit,
    Upsert,
    UpsertDocumentsRequest,
)
from sample.server_process import ServerProcess, running_server
from tests.conftest import SAMPLE_CATALOGUE
from tests.integration.scraping import scrape_until, value
from tests.integration.serving import start_error, wait_for_line, wait_until

TITLES = {
    "check-card": "체크카드 발급",
    "overdraft": "마이너스통장 개설",
    "atm": "현금인출기 찾기",
    "credit-card": "Lost credit card",
    "insurance": "보험금 청구",
}

FREE = "127.0.0.1:0"


def one_way(left: str, right: str, language: str = "") -> SynonymRule:
    return SynonymRule(kind=SynonymKind.SYNONYM_KIND_ONE_WAY, phrases=[left, right], language_code=language)


def equal(*phrases: str) -> SynonymRule:
    return SynonymRule(kind=SynonymKind.SYNONYM_KIND_EQUAL, phrases=phrases)


CHECK_CARD, OVERDRAFT = equal("체카", "체크카드"), one_way("마통", "마이너스통장")


@contextlib.contextmanager
def serving(bundle: Path, data: Path, *flags: str) -> Iterator[tuple[ServerProcess, chaja.Client]]:
    arguments = ["--bundle", str(bundle), "--data", str(data), "--listen", FREE, "--metrics", FREE, *flags]
    with running_server(arguments) as server, chaja.connect(server.address) as client:
        yield server, client
    assert not [line for line in server.lines if "Traceback" in line]


def write_documents(client: chaja.Client) -> None:
    documents = [Document(id=id, titles=[LocalizedText(text=title)]) for id, title in TITLES.items()]
    upserts = [Upsert(document=document) for document in documents]
    client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=upserts))


def add(client: chaja.Client, *rules: SynonymRule) -> None:
    client.synonyms.ChangeSynonyms(ChangeSynonymsRequest(add=rules))


def remove(client: chaja.Client, *rules: SynonymRule) -> None:
    client.synonyms.ChangeSynonyms(ChangeSynonymsRequest(remove=rules))


def rules_of(client: chaja.Client) -> list[SynonymRule]:
    return list(client.synonyms.ListSynonyms(ListSynonymsRequest(page_size=1000)).rules)


def search(client: chaja.Client, query: str, **fields: object) -> SearchResponse:
    request = SearchRequest(query=query, mode=Mode.MODE_LEXICAL, **fields)  # type: ignore[arg-type]
    return client.search.Search(request)


def found(client: chaja.Client, query: str, **fields: object) -> list[str]:
    return [hit.document_id for hit in search(client, query, **fields).hits]


@pytest.fixture(scope="module")
def shared(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[chaja.Client]:
    with serving(tiny_bundle, tmp_path_factory.mktemp("synonyms") / "data") as (_, client):
        write_documents(client)
        yield client


@pytest.fixture
def client(shared: chaja.Client) -> chaja.Client:
    shared.synonyms.ChangeSynonyms(ChangeSynonymsRequest(replace_all=True))
    return shared


def test_a_rule_is_in_the_next_search_and_gone_after_its_removal(client: chaja.Client) -> None:
    assert "check-card" not in found(client, "체카")
    add(client, CHECK_CARD, OVERDRAFT)
    response = search(client, "체카로 마통 만들기")
    assert {hit.document_id for hit in response.hits} == {"check-card", "overdraft"}
    assert list(response.synonyms) == [
        Expansion(phrase="체카", added=["체크카드"]),
        Expansion(phrase="마통", added=["마이너스통장"]),
    ]
    remove(client, CHECK_CARD)
    assert found(client, "체카로 마통 만들기") == ["overdraft"]
    assert rules_of(client) == [OVERDRAFT]


def test_the_title_of_the_catalogue_is_found_by_a_clipping_in_every_mode(client: chaja.Client) -> None:
    add(client, one_way("체카", "체크카드"))
    for mode in Mode.values():
        (first, *_) = client.search.Search(SearchRequest(query="체카 발급", mode=mode)).hits
        (typed, *_) = client.search.Search(SearchRequest(query="체크카드 발급", mode=mode)).hits
        assert (first.document_id, typed.document_id) == ("check-card", "check-card")
        assert first.dense_score == typed.dense_score, "the model reads the words of the catalogue"


def test_batches_and_streams_are_expanded_too(client: chaja.Client) -> None:
    add(client, CHECK_CARD)
    request = SearchRequest(query="체카", mode=Mode.MODE_LEXICAL)
    (batched,) = client.search.BatchSearch(BatchSearchRequest(requests=[request])).responses
    (streamed,) = client.search.SearchStream(iter([request]))
    for response in (batched, streamed.response):
        assert [hit.document_id for hit in response.hits] == ["check-card"]
        assert list(response.synonyms) == [Expansion(phrase="체카", added=["체크카드"])]


def test_a_caller_can_turn_synonyms_off(client: chaja.Client) -> None:
    add(client, CHECK_CARD)
    response = search(client, "체카", interpret=False)
    assert not response.synonyms
    assert "check-card" not in [hit.document_id for hit in response.hits]


def test_expanded_searches_are_counted(tiny_bundle: Path, tmp_path: Path) -> None:
    with serving(tiny_bundle, tmp_path / "data") as (server, client):
        write_documents(client)
        add(client, CHECK_CARD)
        search(client, "체카")
        search(client, "보험금")
        scrape_until(server.metrics_url, lambda found: value(found, "chaja_searches_expanded_total") == 1)


@pytest.mark.parametrize(
    ("typed", "read"), [("cpzk", "체카"), ("체카 qkfrmq", "체카 발급"), ("체카", ""), ("체카로", ""), ("체카 ㅂㄱ", "")]
)
def test_a_clipping_is_no_slip_and_is_found_behind_one(client: chaja.Client, typed: str, read: str) -> None:
    add(client, CHECK_CARD)
    response = search(client, typed)
    assert response.interpreted_query == read
    assert list(response.synonyms) == [Expansion(phrase="체카", added=["체크카드"])]
    assert response.hits[0].document_id == "check-card"


def test_added_words_are_highlighted(client: chaja.Client) -> None:
    add(client, CHECK_CARD)
    (hit,) = search(client, "체카", highlight=TextUnit.TEXT_UNIT_CODE_POINT).hits
    assert [hit.title[each.start : each.end] for each in hit.highlights.title] == ["체크카드"]


def test_rules_of_a_language_are_for_searches_in_it(client: chaja.Client) -> None:
    add(client, one_way("cc", "credit card", "en"))
    assert found(client, "cc") == found(client, "cc", language_code="en-US") == ["credit-card"]
    assert found(client, "cc", language_code="ko") == []


@pytest.mark.parametrize(
    "query", ["ＡＴＭ", "atm에서", unicodedata.normalize("NFD", "에이티엠은"), "🏧", "ATM" + " 🙂" * 400]
)
def test_a_phrase_is_found_in_any_form(client: chaja.Client, query: str) -> None:
    add(client, one_way("atm", "현금인출기"), one_way("에이티엠", "현금인출기"), one_way("🏧", "현금인출기"))
    assert found(client, query)[0] == "atm"


def test_circles_and_contradictions_end(client: chaja.Client) -> None:
    add(
        client, one_way("가나", "다라"), one_way("다라", "가나"), one_way("가나", "마바"), equal("가나", "마바", "사아")
    )
    (expansion,) = search(client, "가나").synonyms
    assert sorted(expansion.added) == ["다라", "마바", "사아"]
    (expansion,) = search(client, "다라").synonyms
    assert list(expansion.added) == ["가나"]


def test_expansions_to_thousands_are_bounded(client: chaja.Client) -> None:
    add(client, *(one_way("가나", f"다라{number}") for number in range(5000)))
    response = search(client, "가나 " * 60)
    assert sum(len(each.added) for each in response.synonyms) == 8


def test_a_text_that_rules_make_too_long_for_the_model_is_cut(client: chaja.Client) -> None:
    add(
        client,
        *(one_way(f"가{letter}", " ".join(f"{letter}{number}나다라" for number in range(8))) for letter in "abcdefgh"),
    )
    response = client.search.Search(SearchRequest(query=" ".join(f"가{letter}" for letter in "abcdefgh")))
    assert len(response.synonyms) == 8


def test_a_wrong_rule_is_named_and_no_rule_is_added(client: chaja.Client) -> None:
    with pytest.raises(grpc.RpcError, match=r"add\[1\]: the phrase '' has no word: write") as raised:
        add(client, CHECK_CARD, one_way("마통", " "))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert rules_of(client) == []


def test_concurrent_changes_are_all_made(client: chaja.Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: add(client, one_way(f"a{number}", "b")), range(64)))
    assert len(rules_of(client)) == 64


def test_pages_of_an_expanded_search_repeat_no_hit(client: chaja.Client) -> None:
    add(client, CHECK_CARD, OVERDRAFT)
    request = SearchRequest(query="체카 마통 보험금", mode=Mode.MODE_HYBRID, limit=2)
    ids: list[str] = []
    while True:
        response = client.search.Search(request)
        assert len(response.synonyms) == 2
        ids += [hit.document_id for hit in response.hits]
        if not (token := response.next_page_token):
            break
        request.page_token = token
    assert sorted(ids) == sorted(TITLES)


def test_an_acknowledged_rule_survives_a_kill_and_a_snapshot(tiny_bundle: Path, tmp_path: Path) -> None:
    with serving(tiny_bundle, tmp_path / "data") as (server, client):
        write_documents(client)
        add(client, OVERDRAFT)
        add(client, CHECK_CARD)
        remove(client, OVERDRAFT)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    for _ in range(2):  # The second server begins with a snapshot.
        with serving(tiny_bundle, tmp_path / "data") as (_, client):
            assert rules_of(client) == [CHECK_CARD]
            assert found(client, "체카") == ["check-card"]


def test_every_acknowledged_change_survives_a_kill_in_the_middle(tiny_bundle: Path, tmp_path: Path) -> None:
    acknowledged: list[int] = []
    with serving(tiny_bundle, tmp_path / "data") as (server, client):

        def change_until_killed() -> None:
            with contextlib.suppress(grpc.RpcError):
                for number in range(10_000):
                    changes = ChangeSynonymsRequest(
                        add=[one_way(f"a{number}", "b"), one_way(f"c{number}", "d")],
                        remove=[one_way(f"a{number - 1}", "b")],
                    )
                    client.synonyms.ChangeSynonyms(changes, timeout=10)
                    acknowledged.append(number)

        with ThreadPoolExecutor(1) as threads:
            changing = threads.submit(change_until_killed)
            wait_until(lambda: len(acknowledged) > 20)
            server.process.send_signal(signal.SIGKILL)
            changing.result()
        server.process.wait()
    with serving(tiny_bundle, tmp_path / "data") as (_, client):
        left = {rule.phrases[0] for rule in rules_of(client)}
    last = max(int(phrase[1:]) for phrase in left)
    assert last in (acknowledged[-1], acknowledged[-1] + 1)
    assert left == {f"a{last}", *(f"c{number}" for number in range(last + 1))}, "no change is made by half"


def test_a_changed_file_is_imported_while_the_server_runs(tiny_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "synonyms.txt"
    file.write_text("체카 = 체크카드\n", encoding="utf-8")
    with serving(tiny_bundle, tmp_path / "data", "--synonyms", str(file), "--watch-seconds", "0.1") as (server, client):
        write_documents(client)
        assert found(client, "체카") == ["check-card"]
        add(client, one_way("cc", "credit card"))
        file.write_text("마통 -> 마이너스통장\n", encoding="utf-8")
        wait_until(lambda: found(client, "마통") == ["overdraft"])
        assert rules_of(client) == [one_way("cc", "credit card"), OVERDRAFT]
        file.write_text("마통 -> 마이너스통장\n체카\n", encoding="utf-8")
        with pytest.raises(grpc.RpcError, match=r"synonyms\.txt:2: the rule has neither"):
            client.admin.Reload(ReloadRequest())
        assert found(client, "마통") == ["overdraft"]
        wait_for_line(server, "synonyms.txt:2: the rule has neither `->` nor `=`")


def test_a_file_with_a_mistake_stops_the_start_with_one_line(tiny_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "synonyms.txt"
    file.write_text("체카, 체크카드\n", encoding="utf-8")
    line = start_error(tiny_bundle, "--synonyms", file, catalogue=SAMPLE_CATALOGUE)
    assert f"{file}:1: the rule has neither `->` nor `=`" in line
