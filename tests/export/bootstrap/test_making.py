from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.bootstrap.synthetic.kinds import KINDS
from export.bootstrap.synthetic.making import SyntheticQuery, synthetic_queries
from export.bootstrap.synthetic.round_trip import round_trip
from export.labelled_queries import as_jsonl, load_labelled_queries
from server.catalogue.document import Document
from server.encoding.bundle import Bundle

BILL = Document(
    id="bill",
    title={"ko": "전기요금 내기", "en": "Pay your electricity bill"},
    text={"ko": "이번 달 전기요금을 확인하고 바로 내요.", "en": "See this month's charge. Pay it in the app."},
)


def test_each_kind_makes_its_queries() -> None:
    found = synthetic_queries([BILL], KINDS, most=2)
    by_kind = {kind: [each.text for each in found if each.kind == kind] for kind in KINDS}
    assert by_kind["title"] == ["전기요금 내기", "Pay your electricity bill"]
    assert by_kind["unspaced"] == ["전기요금내기"]
    assert by_kind["keywords"] == ["Pay electricity bill"]
    assert by_kind["part"] == ["전기요금", "내기", "Pay electricity", "electricity bill"]
    assert by_kind["question"][:2] == ["전기요금 내려면 어떻게 해?", "전기요금 내는 법"]
    assert "이번 달 전기요금" in by_kind["phrase"]
    assert by_kind["sentence"][-1] == "how do I pay it in the app"


def test_languages_are_those_of_the_letters() -> None:
    found = synthetic_queries([Document(id="a", title={"en": "카드 분실"})], ["title"], most=1)
    assert [each.language for each in found] == ["ko"]


def test_nothing_is_made_of_marks_or_for_examples() -> None:
    assert synthetic_queries([Document(id="a", title="!! ?", examples=["카드 분실"])], KINDS, most=3) == []


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=4), st.text(), st.integers(1, 4))
def test_queries_of_any_text_are_single_lines_and_few(titles: list[str], text: str, most: int) -> None:
    documents = [Document(id=str(row), title=title, text=text or {}) for row, title in enumerate(titles)]
    found = synthetic_queries(documents, KINDS, most=most)
    assert all(each.text == " ".join(each.text.split()) and 2 <= len(each.text) <= 100 for each in found)
    for document in documents:
        for kind in KINDS:
            assert sum(each.document_id == document.id and each.kind == kind for each in found) <= most
    assert found == synthetic_queries(documents, KINDS, most=most)


def made(text: str, id: str) -> SyntheticQuery:
    return SyntheticQuery(text, "part", "en", id)


def test_the_round_trip_keeps_what_finds_its_document_and_only_that(tiny_bundle: Path) -> None:
    documents = [Document(id="a", title="aaaa"), Document(id="b", title="bbbb", examples=["cc dd"])]
    queries = [
        *(made("aaab", "a"), made("aaab", "b")),  # made for both
        *(made("bbbb", "a"), made("CC  DD", "a")),  # a title and an example of another
        *(made("aa", "a"), made("bb", "b")),
        made("aaa", "b"),  # finds another
    ]
    kept = round_trip(queries, documents, Bundle(tiny_bundle), progress=lambda step: None)
    assert kept == [made("aa", "a"), made("bb", "b")]


def test_a_larger_top_keeps_more(tiny_bundle: Path) -> None:
    documents = [Document(id="a", title="aaaa"), Document(id="b", title="bbbb")]
    queries = [made("aab", "b")]
    bundle = Bundle(tiny_bundle)
    assert round_trip(queries, documents, bundle, progress=lambda step: None) == []
    assert round_trip(queries, documents, bundle, top=2, progress=lambda step: None) == queries
    assert round_trip([], documents, bundle, progress=lambda step: None) == []


def test_written_queries_are_read_by_evaluate_with_their_kind(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    queries = synthetic_queries([BILL], KINDS, most=3)
    path.write_text(as_jsonl(each.labelled for each in [*queries, *queries]), encoding="utf-8")
    read = load_labelled_queries(path, [BILL])
    assert {each.kind for each in read} == set(KINDS)
    assert all(each.relevant == ["bill"] for each in read)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_used_for_some_title_or_text(kind: str) -> None:
    assert synthetic_queries([BILL], [kind], most=1)
