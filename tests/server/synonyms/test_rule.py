import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import UnfitRule
from server.synonyms.rule import MAX_PHRASES, Kind, Rule
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
        ("a -> b c d e f g h i j", "more than 8 words or 60 characters: shorten it"),
        (f"a -> {'나' * 61}", "more than 60 characters: shorten it"),
        (f"a -> {'ﷺ' * 20}", "more than 8 words or 60 characters"),
        (" = ".join(map(str, range(MAX_PHRASES + 1))), "17 phrases: write at most 16"),
        ("가" * 5000, "5000 characters: write at most 4096"),
    ],
)
def test_an_unfit_line_says_what_to_do(line: str, problem: str) -> None:
    with pytest.raises(UnfitRule) as caught:
        Rule.parse(line)
    assert problem in str(caught.value)


@given(rules())
def test_the_text_and_the_fields_hold_the_whole_rule(one: Rule) -> None:
    assert Rule.parse(one.text) == one
    assert Rule.of(one.kind, one.phrases, language=one.language) == one


def test_the_id_depends_on_all_of_a_rule() -> None:
    lines = ["체카 = 체크카드", "체카 -> 체크카드", "ko: 체카 = 체크카드", "체크카드 = 체카"]
    assert len({rule(line).id for line in lines}) == len(lines)


def test_spaces_and_composition_of_fields_do_not_count() -> None:
    phrases = [" 체카 ", unicodedata.normalize("NFD", "체크카드"), "체크  카드"]
    assert Rule.of(Kind.EQUAL, phrases, language="KO_kr").text == "ko-kr: 체카 = 체크카드 = 체크 카드"


@pytest.mark.parametrize(
    ("kind", "phrases", "language", "problem"),
    [
        (Kind.EQUAL, ["a = b", "c"], "", "leave `->`, `=`, ` #` and `xx:` out"),
        (Kind.ONE_WAY, ["a", "b -> c"], "", "more than one arrow"),
        (Kind.EQUAL, ["a", "b → c"], "", "an arrow and `=`"),
        (Kind.ONE_WAY, ["a", "b # c"], "", "leave `->`, `=`, ` #`"),
        (Kind.ONE_WAY, ["# a", "b"], "", "leave `->`, `=`, ` #`"),
        (Kind.ONE_WAY, ["en: a", "b"], "", "leave `->`, `=`, ` #` and `xx:` out"),
        (Kind.ONE_WAY, ["a", "b"], "no language", "name languages as in `ko`"),
        (Kind.ONE_WAY, ["a", "b"], "ko: en", "name languages as in `ko`"),
        (Kind.ONE_WAY, ["a", ""], "", "the phrase '' has no word"),
        (Kind.ONE_WAY, ["a", "b", "c"], "", "a rule of this kind has 2 phrases, not 3"),
        (Kind.EQUAL, ["a"], "", "a rule of this kind has 2 to 16 phrases, not 1"),
        (Kind.EQUAL, ["a", "가" * 5000], "", "5004 characters: write at most 4096"),
    ],
)
def test_fields_that_a_file_cannot_hold_are_refused(
    kind: Kind, phrases: list[str], language: str, problem: str
) -> None:
    with pytest.raises(UnfitRule) as caught:
        Rule.of(kind, phrases, language=language)
    assert problem in str(caught.value)


@given(st.sampled_from(Kind), st.lists(st.text(max_size=20), max_size=4), st.text(max_size=6))
def test_any_fields_are_refused_or_those_of_the_text(kind: Kind, phrases: list[str], language: str) -> None:
    try:
        one = Rule.of(kind, phrases, language=language)
    except UnfitRule:
        return
    assert (one.kind, len(one.phrases)) == (kind, len(phrases))
    assert Rule.parse(one.text) == one


@given(st.text(max_size=80))
def test_any_line_is_read_or_refused(line: str) -> None:
    try:
        one = Rule.parse(line)
    except UnfitRule:
        return
    assert one is None or Rule.parse(one.text) == one
