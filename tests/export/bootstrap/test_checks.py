from pathlib import Path

import pytest

from export.bootstrap.checks import encoded
from export.bootstrap.checks.duplicates import duplicates
from export.bootstrap.checks.examples import shared_examples, uneven_examples
from export.bootstrap.checks.finding import Check, Finding, as_text
from export.bootstrap.checks.running import findings_of
from export.bootstrap.checks.titles import odd_titles
from server.catalogue.document import Document
from server.encoding.bundle import Bundle


def checked(tiny_bundle: Path, *documents: Document, check: Check) -> list[Finding]:
    found = findings_of(documents, Bundle(tiny_bundle), progress=lambda step: None)
    return [each for each in found if each.check is check]


def test_copies_are_found_once_and_not_again_by_title_and_text() -> None:
    copies = [Document(id=id, title="Lost  card", text="Report it") for id in "ab"]
    other = Document(id="c", title="LOST CARD", text="Something else")
    found = list(duplicates([*copies, other]))
    assert [each.documents for each in found] == [["a", "b"], ["a", "c"]]
    assert found[0].problem.startswith("same titles and texts")
    assert found[1].problem == "same title 'Lost  card'".replace("  ", " ")


def test_the_same_text_under_other_titles_is_found() -> None:
    found = list(duplicates([Document(id="a", title="A", text="x y"), Document(id="b", title="B", text="X Y")]))
    assert [each.problem for each in found] == ["same text 'x y'"]


def test_documents_of_examples_only_are_no_copies() -> None:
    assert list(duplicates([Document(id="a", examples=["x"]), Document(id="b", examples=["y"])])) == []


@pytest.mark.parametrize(
    ("title", "problem"),
    [
        ("12-34", "has no letters"),
        ("!!", "has no letters"),
        ("가", "is a single letter"),
        ("card_lost", "is the id of the document"),
        ("카드 SVC-0012", "has a code, 'SVC-0012'"),
        ("cardLostReport", "has a code, 'cardLostReport'"),
        ("<b>카드</b>", "has markup or an address, '<b>'"),
        ("https://a.example 카드", "has markup or an address, 'https://'"),
        ("카드 분실 (구)", "has words of its owners, '(구)'"),
        ("테스트 카드", "has words of its owners, '테스트'"),
        ("Card v2", "has words of its owners, 'v2'"),
        ("가" * 41, "is 82 columns wide, above 80"),
    ],
)
def test_a_title_that_nobody_types_is_found(title: str, problem: str) -> None:
    found = list(odd_titles([Document(id="card_lost", title=title)]))
    assert [problem in each.problem for each in found] == [True], found


@pytest.mark.parametrize(
    "title",
    [
        "카드 분실 신고",
        "ISA account",
        "Investor profile test",
        "투자 성향 테스트",
        "5G 요금제",
        "COVID-19",
        "iPhone",
        "신차 대출",
    ],
)
def test_a_usual_title_is_no_finding(title: str) -> None:
    assert list(odd_titles([Document(id="card_lost", title=title)])) == []


def test_a_document_without_a_title_is_found() -> None:
    assert [each.problem for each in odd_titles([Document(id="a", text="x")])] == ["has no title"]


def test_shared_examples_and_examples_that_are_titles_are_found() -> None:
    documents = [
        Document(id="a", title="Pay", examples=["my  bill", "Limit"]),
        Document(id="b", title="Limit", examples=["My bill", "limit"]),
    ]
    found = list(shared_examples(documents))
    assert [(each.documents, each.problem) for each in found] == [
        (["a", "b"], "share the example 'my bill'"),
        (["a", "b"], "share the example 'Limit'"),
    ]
    (found_one,) = shared_examples([Document(id="a", title="Pay", examples=["limit"]), Document(id="b", title="Limit")])
    assert found_one.problem == "the example 'limit' of a is the title of b"


def test_examples_of_some_documents_only_are_found() -> None:
    some, none = Document(id="a", title="A", examples=["x"]), Document(id="b", title="B")
    assert [each.documents for each in uneven_examples([some, none])] == [["b"]]
    assert list(uneven_examples([some])) == []
    assert list(uneven_examples([none])) == []


def test_near_duplicates_are_near_in_every_field_they_share(tiny_bundle: Path) -> None:
    one = Document(id="a", title="abcd", text="efgh")
    same = Document(id="b", title="dcba", text="hgfe")
    other = Document(id="c", title="cbad", text="zyxw")
    (found,) = checked(tiny_bundle, one, same, other, check=Check.NEAR_DUPLICATE)
    assert found.documents == ["a", "b"]
    assert found.cosine == pytest.approx(1.0, abs=0.01)
    assert "titles 1.00, texts 1.00" in found.problem
    assert "only a has abcd, efgh; only b has dcba, hgfe" in found.problem


def test_documents_without_a_common_field_are_not_compared(tiny_bundle: Path) -> None:
    documents = Document(id="a", title="abcd"), Document(id="b", text="abcd")
    assert checked(tiny_bundle, *documents, check=Check.NEAR_DUPLICATE) == []


def test_a_document_that_nothing_of_itself_finds_is_hidden(tiny_bundle: Path) -> None:
    hidden = Document(id="a", title="aaaabbbb", text="ccccdddd")
    others = [Document(id=id, title=id) for id in ("aaaabbbz", "aaaabbby", "ccccdddz", "ccccdddy")]
    (found,) = checked(tiny_bundle, hidden, *others, check=Check.HIDDEN)
    assert found.documents[0] == "a"
    assert found.documents[1] in [each.id for each in others]
    assert "it comes at rank 3 at best" in found.problem
    found_by_title = Document(id="a", title="aaaabbbb", text="bbbbaaaa")
    assert checked(tiny_bundle, found_by_title, *others, check=Check.HIDDEN) == []


def test_a_title_that_finds_another_document_is_hidden(tiny_bundle: Path) -> None:
    documents = Document(id="a", title="abab"), Document(id="b", title="baba")
    (found,) = checked(tiny_bundle, *documents, check=Check.HIDDEN)
    assert found.documents == ["b", "a"]
    assert "its title 'baba' finds the title of a first" in found.problem


def test_an_example_that_wins_titles_of_others_is_a_magnet(tiny_bundle: Path) -> None:
    magnet = Document(id="m", title="zzzz", examples=["abcd"])
    others = [Document(id=str(row), title=title, text="qqqq") for row, title in enumerate(["abcx", "abdy", "bcdw"])]
    (found,) = checked(tiny_bundle, magnet, *others, check=Check.MAGNET)
    assert found.documents == ["m", "0", "1", "2"]
    assert "its example 'abcd' comes first for parts of 3 other documents" in found.problem


def test_a_text_that_wins_parts_of_many_is_a_hub(tiny_bundle: Path) -> None:
    hub = Document(id="h", title="zzzz", text="abcdefgh")
    titles = ["abcdefg", "bcdefgh", "acdefgh", "abdefgh", "abcefgh", "abcdfgh", "abcdegh", "abcdefh"]
    others = [Document(id=str(row), title=title, text="qqqq") for row, title in enumerate(titles)]
    assert "h" in [each.documents[0] for each in checked(tiny_bundle, hub, *others, check=Check.HUB)]


def test_findings_do_not_depend_on_how_many_scores_are_in_memory(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [
        Document(id=title, title=title, text=f"{title[::-1]}q") for title in ("abcd", "bcde", "dcba", "xyzw", "abcx")
    ]
    found = findings_of(documents, Bundle(tiny_bundle), progress=lambda step: None)
    monkeypatch.setattr(encoded, "MOST_SCORES", 25)
    assert found
    assert findings_of(documents, Bundle(tiny_bundle), progress=lambda step: None) == found


def test_one_document_is_enough(tiny_bundle: Path) -> None:
    assert findings_of([Document(id="a", title="abcd")], Bundle(tiny_bundle), progress=lambda step: None) == []


def test_a_finding_is_one_line_without_control_characters() -> None:
    finding = Finding(check=Check.TITLE, documents=["a\n\x1b[2J"], problem="is\rodd\u2028\u202e", advice="change it")
    lines = as_text([finding], documents=1).splitlines()
    assert lines == ["title: a??[2J: is?odd??: change it", "1 documents: title 1"]
