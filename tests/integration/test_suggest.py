"""Suggestions of running servers."""

import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import chaja
from chaja.v1 import (
    AdminServiceStub,
    AttributeValue,
    ChangeSynonymsRequest,
    Delete,
    DeleteDocumentsRequest,
    Document,
    Equals,
    Filter,
    LocalizedText,
    ReloadRequest,
    Suggestion,
    SuggestionFit,
    SuggestionSource,
    SuggestRequest,
    SuggestResponse,
    SynonymKind,
    SynonymRule,
    TextRange,
    TextUnit,
    Upsert,
    UpsertDocumentsRequest,
)
from sample.server_process import ServerProcess, running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.scraping import scrape, total
from tests.integration.test_bad_requests import fields_of
from tests.tiny_bundle import make_bundle

FIT = {name.removeprefix("SUGGESTION_FIT_").lower(): number for name, number in SuggestionFit.items()}


@pytest.fixture
def client(tiny_server: ServerProcess) -> Iterator[chaja.Client]:
    with chaja.connect(tiny_server.address, timeout_seconds=60) as client:
        yield client


def suggest(client: chaja.Client, text: str, **fields: Any) -> list[Suggestion]:
    return list(client.suggest.Suggest(SuggestRequest(text=text, **fields)).suggestions)


def texts(found: list[Suggestion]) -> list[str]:
    return [each.text for each in found]


def equals(attribute: str, value: str) -> Filter:
    return Filter(equals=Equals(attribute=attribute, value=AttributeValue(string_value=value)))


@pytest.mark.parametrize(
    ("typed", "fit"),
    [
        ("카드 분실", "start"),
        ("분실 신고", "word"),
        ("카드 분ㅅ", "start"),
        ("ㅋㄷ ㅂㅅ", "initials"),
        ("zkem qnstlf", "keyboard"),
        ("카드 뷴실 신", "typo"),
        (unicodedata.normalize("NFD", "카드  분실"), "start"),
    ],
)
def test_each_way_of_typing_finds_a_title(client: chaja.Client, typed: str, fit: str) -> None:
    found = [each for each in suggest(client, typed, limit=50) if each.text == "카드 분실 신고"]
    assert [(each.fit, each.language_code, each.source) for each in found] == [
        (FIT[fit], "ko", SuggestionSource.SUGGESTION_SOURCE_TITLE)
    ]
    assert (found[0].typing_errors > 0) == (fit == "typo")
    assert found[0].document_id == "report-lost-card"


def test_the_case_and_the_width_of_a_typed_text_do_not_matter(client: chaja.Client) -> None:
    assert texts(suggest(client, "ＬＯＳＴ ｃ")) == texts(suggest(client, "lost c"))
    assert texts(suggest(client, "report a lost c")) == ["Report a lost card"]


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (SuggestRequest(), ["text"]),
        (SuggestRequest(text=" \t\u3000\n"), ["text"]),
        (SuggestRequest(text="\u200b"), ["text"]),
        (SuggestRequest(text="카" * 1001, limit=-1), ["text", "limit"]),
        (SuggestRequest(text="카", limit=101), ["limit"]),
        (SuggestRequest(text="카", highlight=9), ["highlight"]),  # type: ignore[arg-type]
        (SuggestRequest(text="카", filter=Filter(equals=Equals())), ["filter.equals.attribute"]),
    ],
)
def test_each_wrong_field_is_named(client: chaja.Client, request_: SuggestRequest, fields: list[str]) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        client.suggest.Suggest(request_)
    assert fields_of(raised.value) == fields


@pytest.mark.parametrize(
    "text", ["ㄱ" * 1000, "🙂" * 1000, "!?", "a" * 257, "\u0301" * 500, "ㅋzㅏ카" * 60, "\x00", "ᄀ" * 900]
)
def test_a_text_that_nobody_means_finds_nothing(client: chaja.Client, text: str) -> None:
    assert suggest(client, text, limit=100, highlight=TextUnit.TEXT_UNIT_UTF8) == []


def test_a_filter_that_can_match_nothing_has_a_warning(client: chaja.Client) -> None:
    request = SuggestRequest(text="카드", filter=equals("catgeory", "card"))
    assert client.suggest.Suggest(request) == SuggestResponse(
        sequence=client.suggest.Suggest(SuggestRequest(text="카드")).sequence,
        warnings=["filter.equals: no document has the attribute 'catgeory'; perhaps 'category' is meant"],
    )


def test_calls_are_counted_like_those_of_every_method(tiny_server: ServerProcess, client: chaja.Client) -> None:
    labels = {"grpc_service": "chaja.v1.SuggestService", "grpc_method": "Suggest", "grpc_code": "OK"}
    before = total(scrape(tiny_server.metrics_url), "grpc_server_handled_total", **labels)
    suggest(client, "카")
    assert total(scrape(tiny_server.metrics_url), "grpc_server_handled_total", **labels) == before + 1


def document(id: str, title: str, *, language: str = "ko", examples: list[str] | None = None, **own: Any) -> Document:
    made = Document(id=id, titles=[LocalizedText(language_code=language, text=title)], examples=examples)
    made.attributes.update(own)
    return made


def write(client: chaja.Client, *documents: Document) -> int:
    """Writes documents; returns the sequence of the last one."""
    request = UpsertDocumentsRequest(upserts=[Upsert(document=each) for each in documents])
    results = client.catalog.UpsertDocuments(request).results
    assert not [each.error for each in results if each.HasField("error")]
    return int(results[-1].version)


def delete(client: chaja.Client, *ids: str) -> None:
    client.catalog.DeleteDocuments(DeleteDocumentsRequest(deletes=[Delete(id=id) for id in ids]))


@pytest.fixture
def flags(tiny_bundle: Path, tmp_path: Path) -> list[str]:
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    all_flags = server_flags(tmp_path / "bundle", SAMPLE_CATALOGUE, "--data", str(tmp_path / "data"))
    at = all_flags.index("--catalogue")
    return all_flags[:at] + all_flags[at + 2 :]


@pytest.fixture
def empty(flags: list[str]) -> Iterator[chaja.Client]:
    """A client of a server without documents."""
    with running_server(flags) as server, chaja.connect(server.address) as client:
        yield client
    assert not [line for line in server.lines if "Traceback" in line]


def test_an_empty_catalogue_has_no_suggestions(empty: chaja.Client) -> None:
    assert empty.suggest.Suggest(SuggestRequest(text="카", filter=equals("a", "b"))).suggestions == []


def test_suggestions_follow_each_write(empty: chaja.Client) -> None:
    sequence = write(empty, document("lost", "카드 분실", examples=["카드가 없어졌어"]))
    found = empty.suggest.Suggest(SuggestRequest(text="카드"))
    assert [(each.text, each.document_id, each.source) for each in found.suggestions] == [
        ("카드 분실", "lost", SuggestionSource.SUGGESTION_SOURCE_TITLE),
        ("카드가 없어졌어", "lost", SuggestionSource.SUGGESTION_SOURCE_EXAMPLE),
    ]
    assert found.sequence == sequence
    write(empty, document("lost", "지갑 분실"))
    assert suggest(empty, "카드") == []
    assert texts(suggest(empty, "분실")) == ["지갑 분실"]
    delete(empty, "lost")
    assert suggest(empty, "분실") == []


def test_popular_documents_come_first(empty: chaja.Client) -> None:
    popularities = [3, 12, -1, 0.5, "99", True]
    write(empty, *(document(str(each), f"카드 {each}", popularity=each) for each in popularities))
    assert texts(suggest(empty, "카")) == ["카드 12", "카드 3", "카드 0.5", "카드 99", "카드 True", "카드 -1"]
    write(empty, document("-1", "카드 -1", popularity=1e300))
    assert texts(suggest(empty, "카", limit=1)) == ["카드 -1"]


def test_a_filter_and_a_language_restrict_suggestions(empty: chaja.Client) -> None:
    write(
        empty,
        document("a", "card lost", language="en-US", category="card", examples=["card gone"]),
        document("b", "card limit", language="en", category="limit"),
        document("c", "card verloren", language="de", category="card"),
    )
    assert len(suggest(empty, "card")) == 4
    assert texts(suggest(empty, "card", filter=equals("category", "limit"))) == ["card limit"]
    assert texts(suggest(empty, "card", language_code="en")) == ["card lost", "card limit", "card gone"]
    assert texts(suggest(empty, "card", language_code="EN_us")) == ["card lost", "card limit", "card gone"]
    assert texts(suggest(empty, "card", language_code="en-GB")) == ["card limit", "card gone"]
    assert texts(suggest(empty, "card", language_code="ko")) == ["card gone"]
    assert texts(suggest(empty, "card", language_code="de", filter=equals("category", "limit"))) == []


def test_the_phrases_of_synonyms_are_suggested_unless_there_is_a_filter(empty: chaja.Client) -> None:
    rules = [
        SynonymRule(kind=SynonymKind.SYNONYM_KIND_EQUAL, phrases=["체카", "체크카드"]),
        SynonymRule(kind=SynonymKind.SYNONYM_KIND_ONE_WAY, phrases=["체인지", "환전"], language_code="ko"),
    ]
    write(empty, document("a", "체크카드", category="card"))
    sequence = empty.synonyms.ChangeSynonyms(ChangeSynonymsRequest(add=rules)).sequence
    found = empty.suggest.Suggest(SuggestRequest(text="체", highlight=TextUnit.TEXT_UNIT_UTF16))
    assert [(each.text, each.document_id, each.language_code) for each in found.suggestions] == [
        ("체크카드", "a", "ko"),
        ("체카", "", ""),
        ("체인지", "", "ko"),
    ]
    assert [each.source for each in found.suggestions[1:]] == [SuggestionSource.SUGGESTION_SOURCE_SYNONYM] * 2
    assert found.suggestions[1].highlights == [TextRange(start=0, end=1)]
    assert found.sequence == sequence
    assert texts(suggest(empty, "체", language_code="en")) == ["체카", "체크카드"]
    assert texts(suggest(empty, "체", filter=equals("category", "card"))) == ["체크카드"]
    assert texts(suggest(empty, "cpdls")) == ["체인지"]
    empty.synonyms.ChangeSynonyms(ChangeSynonymsRequest(remove=rules[:1]))
    assert texts(suggest(empty, "체")) == ["체크카드", "체인지"]


@pytest.mark.parametrize(
    ("unit", "start", "end"),
    [
        (TextUnit.TEXT_UNIT_CODE_POINT, 2, 7),
        (TextUnit.TEXT_UNIT_UTF16, 3, 8),
        (TextUnit.TEXT_UNIT_UTF8, 5, 18),
    ],
)
def test_what_was_typed_is_highlighted_in_each_unit(empty: chaja.Client, unit: Any, start: int, end: int) -> None:
    write(empty, document("a", "😀 카드 분실"))
    (found,) = suggest(empty, "카드 분시", highlight=unit)
    assert list(found.highlights) == [TextRange(start=start, end=end)]
    (found,) = suggest(empty, "카드 분시")
    assert list(found.highlights) == []


def test_suggestions_are_the_same_after_a_restart_and_a_reload(flags: list[str], tmp_path: Path) -> None:
    typed = ["카", "ㅋㄷ", "zkem", "카뜨", "ca", "분실"]

    def found(client: chaja.Client) -> list[list[Suggestion]]:
        return [suggest(client, text) for text in typed]

    with running_server(flags) as server, chaja.connect(server.address) as client:
        write(client, *(document(f"id {number}", f"카드 {number}", popularity=number % 3) for number in range(40)))
        write(client, *(document(f"id {number}", f"card {number}", language="en") for number in range(0, 40, 2)))
        delete(client, "id 1", "id 2", "id 7")
        rule = SynonymRule(kind=SynonymKind.SYNONYM_KIND_EQUAL, phrases=["체카", "카드 분실"])
        client.synonyms.ChangeSynonyms(ChangeSynonymsRequest(add=[rule]))
        before = found(client)
        assert all(before)
        assert server.stop() == 0
    with running_server(flags) as server, chaja.connect(server.address) as client:
        assert [line for line in server.lines if "was loaded from the snapshot" in line]
        assert found(client) == before
        write(client, document("new", "지갑 분실"))
        delete(client, "id 3")
        assert texts(suggest(client, "분실")) == ["지갑 분실", "카드 분실"]
        after = found(client)
        shutil.rmtree(tmp_path / "bundle")
        make_bundle(tmp_path / "bundle", seed=11, dimension=48)
        with grpc.insecure_channel(server.address) as channel:
            stub: Any = AdminServiceStub(channel)
            stub.Reload(ReloadRequest(), timeout=60)
        assert found(client) == after
        assert server.stop() == 0
    with running_server(flags) as server, chaja.connect(server.address) as client:
        assert found(client) == after
