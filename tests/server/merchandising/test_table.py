"""The table: which rules apply to a query."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import UnfitRule
from server.merchandising.rule import Match
from server.merchandising.table import MAX_APPLIED, MAX_READ_CHARACTERS, MAX_RULES, RuleTable
from tests.server.merchandising.making import rule


def ids(table: RuleTable, query: str, *, language: str = "", seconds: float = 0) -> list[str]:
    return [rule.id for rule in table.fitting(query, language=language, seconds=seconds)]


@pytest.mark.parametrize(
    ("match", "phrase", "fitting", "others"),
    [
        ("exact", "카드 분실", ["카드 분실", "카드분실", " 카드  분실!"], ["카드 분실 신고", "카드", "분실 카드"]),
        ("exact", "lost card", ["Lost CARD", "lost-card"], ["lostcard", "lost cards"]),
        ("prefix", "카드", ["카드", "카드 분실", "카드분실", "카드를 잃어버렸어"], ["체크카드", "내 카드", "칻"]),
        ("prefix", "card", ["card", "card lost", "card를"], ["cards", "my card"]),
        ("contains", "대출", ["대출", "신용대출 금리", "집 살 때 대출이 되나요"], ["대 출근길", "대"]),
        ("contains", "대출", ["대 출", "신용 대 출", "은행 대 출 상담"], ["저 대 출근", "군대 출"]),
        ("prefix", "대출", ["대 출", "대 출 이자"], ["은행 대 출", "대 출근"]),
        ("contains", "이자", ["이자 계산", "예금이자", "이 자"], ["이 자동차"]),
        ("contains", "카드 분실", ["카드분실 신고", "내 카드 분실했어"], ["카드 재발급 분실"]),
        ("contains", "cat", ["my cat", "cat", "cat용"], ["category", "concat", "ca t"]),
        ("contains", "5월", ["5월 월급", "2026년 5월"], ["15월", "5 월급"]),
        ("contains", "atm", ["ATM수수료", "가까운 ATM"], ["atms"]),
        ("contains", "n", ["n 빵", "n빵"], ["no", "빵"]),
        ("contains", "💳", ["💳", "카드💳분실"], ["카드"]),
    ],
)
def test_a_rule_applies_to_the_queries_that_its_match_means(
    match: str, phrase: str, fitting: list[str], others: list[str]
) -> None:
    table = RuleTable([rule(query=phrase, match=match)])
    assert [query for query in fitting if not ids(table, query)] == []
    assert [query for query in others if ids(table, query)] == []


def test_a_rule_without_a_query_applies_to_every_query() -> None:
    table = RuleTable([rule()])
    assert [ids(table, query) for query in ("카드", "…", "x" * 5000)] == [["rule"]] * 3
    assert not ids(RuleTable(), "카드")


def test_rules_are_in_the_order_of_their_ids_and_bounded() -> None:
    table = RuleTable(rule(f"{number:02}", query="카드", match="prefix") for number in reversed(range(40)))
    assert ids(table, "카드 분실") == [f"{number:02}" for number in range(MAX_APPLIED)]


def test_a_rule_of_a_language_applies_to_queries_in_it() -> None:
    table = RuleTable([rule("all"), rule("en", language_code="en"), rule("ko", language_code="ko")])
    assert ids(table, "x") == ["all", "en", "ko"]
    assert ids(table, "x", language="ko-KR") == ["all", "ko"]
    assert ids(table, "x", language="fr") == ["all"]


def test_a_rule_applies_at_its_time() -> None:
    table = RuleTable([rule(end_time="1970-01-01T00:00:10Z"), rule("later", start_time="1970-01-01T00:00:10Z")])
    assert [ids(table, "x", seconds=seconds) for seconds in (9, 10)] == [["rule"], ["later"]]


def test_a_phrase_is_not_found_after_the_read_part_of_a_long_query() -> None:
    table = RuleTable([rule(query="카드", match="contains"), rule("exact", query="가" * 100)])
    assert ids(table, "가" * (MAX_READ_CHARACTERS - 2) + "카드") == ["rule"]
    assert not ids(table, "가" * MAX_READ_CHARACTERS + "카드")


def test_a_table_is_bounded() -> None:
    RuleTable(rule(str(number)) for number in range(MAX_RULES))
    with pytest.raises(UnfitRule, match="there are 1001 rules: keep at most 1000"):
        RuleTable(rule(str(number)) for number in range(MAX_RULES + 1))
    with pytest.raises(UnfitRule, match="the rules name 10050 documents: name at most 10000"):
        RuleTable(rule(str(number), pinned_ids=[f"{number}.{each}" for each in range(50)]) for number in range(201))


def test_a_phrase_at_the_end_of_a_query_may_be_the_beginning_of_another_phrase() -> None:
    phrases = {"long": "카드분실신고", "short": "카드분실"}
    table = RuleTable(rule(id, query=phrase, match="contains") for id, phrase in phrases.items())
    assert ids(table, "내 카드분실") == ["short"]
    assert ids(table, "내 카드분실신고") == ["long", "short"]


texts = st.text(alphabet="가나 a", max_size=8)


@given(st.lists(st.tuples(st.sampled_from(Match), texts.filter(str.split)), max_size=20), texts)
def test_a_rule_applies_alone_as_it_does_among_others(rules: list[tuple[Match, str]], query: str) -> None:
    table = [
        rule(f"{place:02}", query=phrase, match=match.value)
        for place, (match, phrase) in enumerate(rules)
        if phrase.strip(" -")
    ]
    alone = [each.id for each in table if ids(RuleTable([each]), query)]
    assert ids(RuleTable(table), query) == alone[:MAX_APPLIED]
