import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import UnfitRule
from server.synonyms.rule import MAX_PHRASES, Kind, Row, Rule
from tests.server.synonyms.making import rule, rules


@pytest.mark.parametrize(
    ("line", "kind", "phrases", "language"),
    [
        ("마통 -> 마이너스통장", Kind.ONE_WAY, ("마통", "마이너스통장"), ""),
        ("마통→마이너스 통장", Kind.ONE_WAY, ("마통", "마이너스 통장"), ""),
        ("체카 = 체크카드=체크  카드", Kind.EQUAL, ("체카", "체크카드", "체크 카드"), ""),
        ("ko: 체카 = 체크카드  # slang", Kind.EQUAL, ("체카", "체크카드"), "ko"),
        ("en_US:ATM = cash machine", Kind.EQUAL, ("ATM", "cash machine"), "en-us"),
        ("1:1 문의 = 상담#1", Kind.EQUAL, ("1:1 문의", "상담#1"), ""),
    ],
)
def test_a_line_is_read(line: str, kind: Kind, phrases: tuple[str, ...], language: str) -> None:
    assert rule(line) == Rule(kind, phrases, language)


@pytest.mark.parametrize("line", ["", "  \t", "# 체카 = 체크카드", "  # comment"])
def test_a_line_without_a_rule_is_none(line: str) -> None:
    assert Rule.parse(line) is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("체카, 체크카드", "neither `->` nor `=`: write `a -> b`"),
        ("체카 => 체크카드", "`=>` is not used here: write `a -> b`"),
        ("a -> b -> c", "more than one arrow"),
        ("a -> b = c", "an arrow and `=`: split it"),
        ("체카 -> ", "the phrase '' has no word: write"),
        ("체카 = !!!", "the phrase '!!!' has no word"),
        ("체카 = ｃｈ = CH", "'ｃｈ' and 'CH' are the same to a search: leave one out"),
        ("a -> A", "'a' and 'A' are the same"),
        ("a -> b c d e f g h i j", "more than 8 words and 60 characters: shorten it"),
        (f"a -> {'나' * 61}", "more than 60 characters: shorten it"),
        (f"a -> {'ﷺ' * 20}", "more than 8 words and 60 characters"),
        (" = ".join(map(str, range(MAX_PHRASES + 1))), "17 phrases: write at most 16"),
        ("가" * 5000, "5000 characters: write at most 4096"),
    ],
)
def test_an_unfit_line_says_what_to_do(line: str, problem: str) -> None:
    with pytest.raises(UnfitRule) as caught:
        Rule.parse(line)
    assert problem in str(caught.value)


@given(rules())
def test_text_and_row_hold_the_whole_rule(one: Rule) -> None:
    assert Rule.parse(one.text) == one
    assert Rule.of(one.row) == one


def test_a_row_is_plain_and_its_id_depends_on_all_of_it() -> None:
    row = rule("ko: 체카 = 체크카드 = 체크 카드").row
    assert row == Row(row.id, "ko", "EQUAL", "체카", "체크카드 = 체크 카드")
    lines = ["체카 = 체크카드", "체카 -> 체크카드", "ko: 체카 = 체크카드", "체크카드 = 체카"]
    assert len({rule(line).id for line in lines}) == len(lines)


def test_spaces_of_a_row_do_not_count() -> None:
    assert Rule.of(Row("", "KO", "EQUAL", " 체카 ", "체크카드=체크  카드")).text == "ko: 체카 = 체크카드 = 체크 카드"


@pytest.mark.parametrize(
    "row",
    [
        Row("", "", "EQUAL", "a = b", "c"),
        Row("", "", "ONE_WAY", "a", "b -> c"),
        Row("", "", "ONE_WAY", "a", "b # c"),
        Row("", "", "ONE_WAY", "en: a", "b"),
        Row("", "no language", "ONE_WAY", "a", "b"),
        Row("", "", "ONE_WAY", "a", ""),
        Row("", "", "BOTH", "a", "b"),
        Row("", "", "ONE_WAY", "# a", "b"),
    ],
)
def test_a_row_that_a_file_cannot_hold_is_refused(row: Row) -> None:
    with pytest.raises(UnfitRule):
        Rule.of(row)


@given(st.text(max_size=80))
def test_any_line_is_read_or_refused(line: str) -> None:
    try:
        one = Rule.parse(line)
    except UnfitRule:
        return
    assert one is None or Rule.parse(one.text) == one
