"""Endings, English sentences and noun phrases."""

import pytest

from export.bootstrap.synthetic import endings, english
from export.bootstrap.synthetic.phrases import Distinctive, phrases_by_kiwi, phrases_by_rules


@pytest.mark.parametrize(
    ("title", "how", "way"),
    [
        ("전기요금 내기", "전기요금 내려면 어떻게 해?", "전기요금 내는 법"),
        ("카드 찾기", "카드 찾으려면 어떻게 해?", "카드 찾는 법"),
        ("통장 만들기", "통장 만들려면 어떻게 해?", "통장 만드는 법"),
        ("주식 선물하기", "주식 선물하려면 어떻게 해?", "주식 선물하는 법"),
    ],
)
def test_a_title_of_a_verb_becomes_a_question(title: str, how: str, way: str) -> None:
    stem = endings.verb_stem(title)
    assert stem is not None
    assert endings.how_to(stem) == how
    assert endings.way_to(stem) == way


@pytest.mark.parametrize("title", ["적금 만기", "이자 계산기", "", "  ", "카드", "기"])
def test_other_titles_have_no_verb(title: str) -> None:
    assert endings.verb_stem(title) is None


@pytest.mark.parametrize(
    ("sentence", "query"),
    [
        ("작년과 비교해 드려요.", "작년과 비교해줘"),
        ("바로 알려드립니다", "바로 알려줘"),
        ("언제든 팔 수 있어요.", "언제든 팔 수 있어?"),
        ("24시간 신고해 주세요.", "24시간 신고하기"),
        ("여기를 누르세요", "여기를 누르려면 어떻게 해?"),
        ("이자가 매일 쌓여요", "이자가 매일 쌓여?"),
        ("무료예요.", "무료예요?"),
        ("현금을 보냅니다", "현금을 보내나요?"),
        ("조건이 있습니다", "조건이 있나요?"),
        ("현금 지원", "현금 지원"),
    ],
)
def test_a_korean_statement_becomes_a_query(sentence: str, query: str) -> None:
    assert endings.as_query(sentence) == query


@pytest.mark.parametrize(
    ("sentence", "query"),
    [
        ("Pay your bill in the app.", "how do I pay my bill in the app"),
        ("You can close it any time.", "can I close it any time"),
        ("We send you a new one.", "you send me a new one"),
        ("ISA accounts are free.", "ISA accounts are free"),
    ],
)
def test_an_english_statement_becomes_a_query(sentence: str, query: str) -> None:
    assert english.as_query(sentence) == query


def test_english_questions_fit_verbs_and_names() -> None:
    assert english.questions("Report a lost card")[0] == "how do I report a lost card"
    assert english.questions("Overdraft account")[0] == "how does overdraft account work"


def test_a_korean_phrase_ends_at_a_particle_and_begins_after_a_verb() -> None:
    found = phrases_by_rules("고객번호만 등록하면 이번 달 전기요금을 확인하고 바로 납부할 수 있어요.")
    assert "이번 달 전기요금" in found
    assert not [phrase for phrase in found if "등록하면" in phrase or "확인하고" in phrase]


def test_an_english_phrase_is_between_stop_words() -> None:
    assert phrases_by_rules("Check the usage of your electricity, and pay") == ["Check", "usage", "electricity", "pay"]


def test_kiwi_finds_nouns() -> None:
    pytest.importorskip("kiwipiepy")
    found = phrases_by_kiwi()("이번 달 전기요금을 확인하고 바로 납부할 수 있어요.")
    assert any(phrase.endswith("전기요금") for phrase in found)


def test_the_most_distinctive_phrases_are_chosen() -> None:
    chosen = Distinctive(["카드 안내", "카드 신청", "카드 해지", "자전거 보험"])
    assert chosen.best(["카드", "자전거 보험", "카드"], most=1) == ["자전거 보험"]
    assert chosen.best([], most=3) == []
