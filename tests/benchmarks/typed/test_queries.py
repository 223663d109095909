import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from benchmarks.serving.setting import CATALOGUE, QUERIES
from benchmarks.typed.kinds import CLIPPINGS, KINDS, OWN_WORDS
from benchmarks.typed.queries import BY_HAND, HandWritten, TypedQuery, typed_queries
from export.labelled_queries import load_labelled_queries
from server.catalogue.catalogue import load_catalogue
from server.catalogue.document import Document, parts_of
from server.catalogue.jsonl import read_jsonl
from server.errors import CatalogueError
from server.synonyms.file import read_synonyms

DOCUMENTS = [
    Document(id="lost", title={"ko": "카드 분실 신고"}, examples=["카드 잃어버렸어요"]),
    Document(id="delivery", title={"ko": "카드 배송 조회"}),
    Document(id="limit", title={"ko": "이체 한도", "en": "Transfer limit"}),
]

Made = Callable[..., list[TypedQuery]]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    def make(*lines: dict[str, object], documents: list[Document] = DOCUMENTS) -> list[TypedQuery]:
        path = tmp_path / "by_hand.jsonl"
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
        return typed_queries(documents, by_hand=path)

    return make


@pytest.fixture(scope="module")
def sample() -> list[TypedQuery]:
    return typed_queries(load_catalogue(CATALOGUE))


def test_each_document_gives_one_query_of_a_kind(made: Made) -> None:
    found = [each for each in made() if each.kind == "Korean on QWERTY"]
    assert [set(each.relevant) for each in found] == [{"lost"}, {"delivery"}, {"limit"}]
    assert found[1].text == "zkem qothd whghl"


def test_a_change_of_a_document_leaves_the_queries_of_others(made: Made) -> None:
    changed = [*DOCUMENTS[:2], msgspec.structs.replace(DOCUMENTS[2], title="환율 알림")]
    kept = [each for each in made() if "limit" not in each.relevant]
    assert kept == [each for each in made(documents=changed) if "limit" not in each.relevant]


def test_a_form_accepts_each_document_that_it_may_mean(made: Made) -> None:
    lost = Document(id="lost", title="카드 분실")
    initials = {each.text: each for each in made(documents=[lost, DOCUMENTS[1]]) if each.kind == "initials"}
    assert initials["ㅋㄷ ㅂㅅ"].relevant == {"lost", "delivery"}
    assert initials["ㅋㄷ ㅂㅅ"].is_ambiguous


def test_documents_of_the_same_text_are_all_accepted(made: Made) -> None:
    twins = [Document(id="one", title="달러 환전"), Document(id="two", title="달러환전")]
    assert all(each.relevant == {"one", "two"} for each in made(documents=twins))
    assert not any(each.is_ambiguous for each in made(documents=twins))


def test_no_query_of_a_kind_is_repeated(sample: list[TypedQuery]) -> None:
    assert len({(each.kind, each.text) for each in sample}) == len(sample)


def test_own_words_are_typed_by_rule_and_clippings_as_written(made: Made) -> None:
    own = {"query": "카드 어디 갔지", "relevant": ["lost"]}
    short = {"query": "카분 신고", "meant": "카드 분실 신고", "relevant": ["lost"]}
    found = {each.kind: each for each in made(own, short)}
    assert found["own words on QWERTY"].text == "zkem djel rkTwl"
    assert found["own words without spaces"].text == "카드어디갔지"
    assert (found[CLIPPINGS].text, found[CLIPPINGS].meant) == ("카분 신고", "카드 분실 신고")


def test_an_unknown_document_is_named_with_its_line(made: Made) -> None:
    with pytest.raises(CatalogueError, match=r"by_hand\.jsonl:1: unknown document 'gone'"):
        made({"query": "카드", "relevant": ["gone"]})


def test_the_sample_gives_hundreds_of_queries_in_halves(sample: list[TypedQuery]) -> None:
    assert len(sample) >= 400
    for kind in (*KINDS, *OWN_WORDS, CLIPPINGS):
        halves = [each.judges for each in sample if each.kind == kind]
        assert 0.4 < sum(halves) / len(halves) < 0.6, kind


def test_forms_of_one_text_are_in_the_same_half(sample: list[TypedQuery]) -> None:
    halves: dict[str, set[bool]] = {}
    for each in sample:
        halves.setdefault(each.meant, set()).add(each.judges)
    assert all(len(half) == 1 for half in halves.values())


def test_queries_written_by_hand_are_in_no_document_and_not_in_the_sample() -> None:
    documents = load_catalogue(CATALOGUE)
    known = {part.text for document in documents for part in parts_of(document)}
    known |= {each.query for each in load_labelled_queries(QUERIES, documents)}
    written = [each.query for _, each in read_jsonl(BY_HAND, HandWritten)]
    assert known.isdisjoint(written)
    assert len(set(written)) == len(written)


def test_the_synonyms_of_the_sample_explain_all_slang_and_change_nothing_else() -> None:
    synonyms = read_synonyms(CATALOGUE.with_name("synonyms.txt"))
    for _, each in read_jsonl(BY_HAND, HandWritten):
        expansion = synonyms.expand(each.query)
        # Numbers of documents matter to rules with `=` alone; the sample has none.
        assert (expansion.rewritten(lambda phrases: [0] * len(phrases)) if expansion else "") == each.meant
