import gc
import random
import time
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import UnfitRule
from server.synonyms.expansion import MAX_ALTERNATIVES
from server.synonyms.rule import MAX_PHRASE_CHARACTERS, Kind, Rule
from server.synonyms.table import MAX_LANGUAGES, MAX_RULES, SynonymTable
from tests.server.synonyms.making import phrases, rule, rules, table

SLANG = table(
    "체카 = 체크카드 = 체크 카드",
    "마통 -> 마이너스통장",
    "13월의 월급 -> 연말정산",
    "n빵 -> 더치페이",
    "카카오 -> 카카오페이",
    "atm = 현금인출기",
    "이자 -> 금리",
    "주식 = 증권",
    "주식회사 = 법인",
    "pay day -> salary",
)


DOCUMENTS = {"체크 카드": 9, "체크카드": 8, "현금인출기": 5, "증권": 2, "주식": 1, "법인": 1, "b": 1}


def documents(phrases: Sequence[str]) -> list[int]:
    """Returns how many documents of a catalogue have each phrase."""
    return [DOCUMENTS.get(phrase, 0) for phrase in phrases]


def rewritten(query: str, *, synonyms: SynonymTable = SLANG, language: str | None = None) -> str:
    expansion = synonyms.expand(query, language=language)
    return query if expansion is None else expansion.rewritten(documents)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("마통 만들기", "마이너스통장 만들기"),
        ("마통을 만들까?", "마이너스통장을 만들까?"),
        ("마통으로도요", "마이너스통장으로도요"),
        ("마통개설", "마이너스통장개설"),
        ("(마통)", "(마이너스통장)"),
        (unicodedata.normalize("NFD", "마통을 개설"), "마이너스통장을 개설"),
        ("Ｎ빵 하기", "더치페이 하기"),
        ("n 빵", "더치페이"),
        ("마 통 금리", "마이너스통장 금리"),
        ("13월의월급 언제", "연말정산 언제"),
        ("ATM수수료", "현금인출기수수료"),
        ("ATM에서 ATMs", "현금인출기에서 ATMs"),
        ("PAY  DAY!", "salary!"),
        ("payday", "payday"),
    ],
)
def test_a_phrase_is_found_as_people_write_it(query: str, expected: str) -> None:
    assert unicodedata.normalize("NFC", rewritten(query)) == expected


@pytest.mark.parametrize(
    "query", ["이마통", "마통신", "마 통신", "이 자동차", "카카오페이 결제", "마이너스통장", "", "?!", "마"]
)
def test_a_query_without_a_phrase_is_not_expanded(query: str) -> None:
    assert SLANG.expand(query) is None


def test_the_longest_phrase_wins() -> None:
    assert rewritten("주식회사 설립") == "법인 설립"
    assert rewritten("주식 거래") == "증권 거래"


def test_of_equal_phrases_the_one_that_most_documents_have_is_taken() -> None:
    assert rewritten("체카 발급") == "체크카드 발급"
    assert rewritten("체크 카드 발급") == "체크 카드 발급"
    assert rewritten("체크카드 발급") == "체크카드 발급"
    assert rewritten("주식", synonyms=table("주식 = 주권")) == "주식"


def test_without_documents_the_phrase_stays_unless_a_rule_is_one_way() -> None:
    expansion = table("마통 = 한도대출", "마통 -> 마이너스통장", "체카 = 체크카드").expand("마통 체카")
    assert expansion is not None
    assert expansion.rewritten(lambda phrases: [0] * len(phrases)) == "마이너스통장 체카"
    assert expansion.alternatives == ("마이너스통장", "체크카드", "한도대출")


def test_the_text_for_the_search_by_words_has_the_alternatives_after_the_query() -> None:
    expansion = SLANG.expand("체카로 마통")
    assert expansion is not None
    assert expansion.alternatives == ("체크카드", "마이너스통장", "체크 카드")
    assert expansion.lexical == "체카로 마통 체크카드 마이너스통장 체크 카드"


def test_a_phrase_that_the_query_has_is_not_added() -> None:
    assert table("체카 = 체크카드").expand("체카 체크카드 차이") is None


def test_rules_apply_once_so_circles_end() -> None:
    circle = table("a -> b", "b -> c", "c -> a")
    assert rewritten("a b", synonyms=circle) == "a c"
    assert rewritten("a", synonyms=circle) == "b"
    assert rewritten("c", synonyms=table("a = b", "b = c")) == "b"


def test_rules_that_contradict_all_count() -> None:
    expansion = table("a -> y", "a -> x", "x -> a").expand("a")
    assert expansion is not None
    assert expansion.alternatives == ("x", "y")


@pytest.mark.parametrize(
    ("language", "applies"),
    [(None, True), ("en", True), ("en-US", True), ("EN_us", True), ("ko", False), ("enm", False), ("", False)],
)
def test_a_rule_of_a_language_applies_to_queries_in_it(language: str | None, applies: bool) -> None:
    synonyms = table("en: cc -> credit card")
    assert (synonyms.expand("lost cc", language=language) is not None) is applies


def test_a_shorter_phrase_of_the_language_is_found_below_one_of_another() -> None:
    synonyms = table("en: cc card -> x", "cc -> credit card")
    assert rewritten("cc card", synonyms=synonyms, language="ko") == "credit card card"


def test_a_query_whose_folding_splits_words_is_rewritten_in_folded_words() -> None:
    assert rewritten("A½ 마통") == "a1 2 마이너스통장"


def test_too_many_rules_phrases_or_languages_are_refused() -> None:
    with pytest.raises(UnfitRule, match="32000 phrases: keep at most 30000"):
        SynonymTable(Rule(Kind.EQUAL, tuple(f"a{number}b{place}" for place in range(16))) for number in range(2000))
    with pytest.raises(UnfitRule, match="10001 rules: keep at most 10000"):
        SynonymTable(rule(f"a{number} -> b") for number in range(MAX_RULES + 1))
    codes = [f"a{chr(97 + number // 26)}-{chr(97 + number % 26)}" for number in range(MAX_LANGUAGES + 1)]
    with pytest.raises(UnfitRule, match="33 languages: name at most 32"):
        table(*(f"{code}: a -> b" for code in codes))


@given(st.lists(rules(), max_size=12), st.lists(phrases() | st.text(max_size=20), max_size=12).map(" ".join))
def test_expansion_is_bounded_and_its_spans_are_in_order(some: list[Rule], query: str) -> None:
    expansion = SynonymTable(some).expand(query)
    if expansion is None:
        return
    assert 1 <= len(expansion.occurrences) <= MAX_ALTERNATIVES
    assert sum(len(each.alternatives) for each in expansion.occurrences) <= MAX_ALTERNATIVES
    assert all(each.alternatives for each in expansion.occurrences)
    ends = [0, *(each.span.end for each in expansion.occurrences)]
    starts = [*(each.span.start for each in expansion.occurrences), len(expansion.query)]
    assert all(end <= start for end, start in zip(ends, starts, strict=True))
    assert all(start < end for start, end in (each.span for each in expansion.occurrences))
    most = MAX_ALTERNATIVES * (MAX_PHRASE_CHARACTERS + 1)
    assert len(expansion.lexical) <= len(expansion.query) + most
    assert len(expansion.rewritten(documents)) <= len(expansion.query) + most


@given(st.lists(rules(), min_size=1, max_size=8), st.randoms(use_true_random=False), st.text(max_size=30))
def test_the_order_of_rules_does_not_matter(some: list[Rule], order: random.Random, query: str) -> None:
    whole = SynonymTable(some)
    order.shuffle(some)
    other = SynonymTable(some + some[:1])
    assert whole == other
    assert hash(whole) == hash(other)
    query = f"{some[0].left} {query}"
    assert whole.expand(query) == other.expand(query)


@given(
    st.lists(rules(), max_size=8),
    st.lists(rules(), max_size=8),
    st.sets(st.integers(0, 15)),
    st.lists(phrases(), max_size=4).map(" ".join),
)
def test_a_changed_table_is_the_table_of_its_rules(
    before: list[Rule], added: list[Rule], removed: set[int], query: str
) -> None:
    gone = [one.id for place, one in enumerate([*before, *added]) if place in removed]
    whole = SynonymTable(before)
    changed = whole.changed(added=added, removed=gone)
    other = SynonymTable([*(one for one in before if one.id not in gone), *added])
    assert (changed, len(changed), changed.rules) == (other, len(other.rules), other.rules)
    assert whole == SynonymTable(before)
    for text in (query, *(one.left for one in added)):
        assert changed.expand(text) == other.expand(text)


def test_a_table_cannot_grow_above_its_bounds() -> None:
    full = SynonymTable(rule(f"a{number} -> b") for number in range(MAX_RULES))
    with pytest.raises(UnfitRule, match="10001 rules: keep at most 10000"):
        full.changed(added=[rule("a -> b")])
    assert full.changed(added=[rule("a -> b")], removed=[full.rules[0].id]).expand("a") is not None


@given(rules(), st.sampled_from(["NFC", "NFD"]), st.booleans(), st.sampled_from(["", "는", "에서도"]))
def test_a_phrase_is_found_in_any_form(one: Rule, form: str, upper: bool, ending: str) -> None:
    query = unicodedata.normalize(form, one.left.upper() if upper else one.left)  # type: ignore[arg-type]
    plain = SynonymTable([one]).expand(one.left)
    expansion = SynonymTable([one]).expand(query + ending)
    assert (expansion is None) == (plain is None)
    if expansion is not None and plain is not None:
        assert expansion.alternatives == plain.alternatives


def test_a_table_makes_few_objects_for_the_garbage_collector() -> None:
    some = [Rule(Kind.EQUAL, tuple(f"a{number}b{place}" for place in range(16))) for number in range(500)]
    phrases = sum(len(one.forms) for one in some)
    gc.collect()
    before = len(gc.get_objects())
    whole = SynonymTable(some)
    gc.collect()
    assert len(gc.get_objects()) - before < phrases / 10
    assert whole.expand("a1b1") is not None


@pytest.mark.alone
def test_expansion_takes_less_than_a_millisecond_at_worst() -> None:
    # Phrases of all lengths with the same beginning, which each word of the query may begin.
    lengths = table(*("가" * length + "나 -> 다" for length in range(1, MAX_PHRASE_CHARACTERS)))
    for query in ("가" * 60 + " ", "가 가가 " * 8, "가나 " * 64):
        text = (query * 64)[:1000]
        # Other programs may slow the machine down for a while: the best of about a second counts.
        best = min(_seconds(lengths, text) for _ in range(1000))
        assert best < 1e-3, query


def _seconds(synonyms: SynonymTable, query: str) -> float:
    start = time.perf_counter()
    synonyms.expand(query)
    return time.perf_counter() - start
