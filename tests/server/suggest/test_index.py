import unicodedata
from collections.abc import Callable
from random import Random
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.korean import jamo, keyboard
from server.suggest import index as index_module
from server.suggest.completion import Completion, Kind, Source, Suggestion
from server.suggest.index import SuggestIndex
from server.suggest.view import SuggestView
from tests.server.suggest.reference import expected

TITLES = [
    "카드 분실 신고",
    "신용대출 한도 조회",
    "체크카드 발급",
    "이체 한도 변경",
    "환전",
    "Lost card abroad",
    "값비싼 과자",
]

WAYS: list[Callable[[str], str]] = [
    *(jamo.letters, jamo.initials, keyboard.as_english, keyboard.as_korean, str, str.upper)
]

some_texts = st.text(alphabet="카드각과갉 -abAㅋ🙂é1", max_size=8)
some_completions = st.builds(
    Completion,
    some_texts,
    st.sampled_from(Source),
    st.sampled_from(["", "ko", "en"]),
    st.sampled_from([-1.5, 0.0, 2.0]),
    st.sampled_from([0.0, 1.0]),
)


def view_of(*texts: str) -> SuggestView:
    index = SuggestIndex()
    index.add((slot, [Completion(text)]) for slot, text in enumerate(texts))
    return index.view()


def parts(found: Suggestion) -> list[str]:
    return [found.text[start:end] for start, end in found.ranges]


@pytest.mark.parametrize(
    ("typed", "kind", "part"),
    [
        ("카드 분실", Kind.START, "카드 분실"),
        ("분실", Kind.WORD, "분실"),
        ("카", Kind.START, "카"),
        ("카ㄷ", Kind.START, "카드"),
        ("카드부", Kind.START, "카드 분"),
        ("ㅋㄷ", Kind.INITIALS, "카드"),
        ("ㅋㄷ ㅂㅅ", Kind.INITIALS, "카드 분실"),
        ("ㅋㄷㅄ", Kind.INITIALS, "카드 분실"),
        ("카드 ㅂㅅ", Kind.INITIALS, "카드 분실"),
        ("ㅋ드", Kind.INITIALS, "카드"),
        ("zkem qnstlf", Kind.KEYBOARD, "카드 분실"),
        ("ㅋkem", Kind.KEYBOARD, "카드"),
        ("ㅋe", Kind.KEYBOARD, "카드"),
        ("ze qt", Kind.KEYBOARD, "카드 분실"),
        ("ZKEM", Kind.KEYBOARD, "카드"),
        ("Zkem qnstlf", Kind.KEYBOARD, "카드 분실"),
        ("카드 분실 신고하기", Kind.START, "카드 분실 신고"),
        ("카드 분실 해줘", Kind.START, "카드 분실"),
        ("카드뷴실", Kind.TYPO, "카드 분실"),
        ("카드븐싯신고", Kind.TYPO, "카드 분실 신고"),
        ("zkem qnatlf", Kind.TYPO, "카드 분실"),
        ("카드분실", Kind.START, "카드 분실"),
        (" 카 드  분.실", Kind.START, "카드 분실"),
        (unicodedata.normalize("NFD", "카드 분실"), Kind.START, "카드 분실"),
    ],
)
def test_each_way_of_typing_finds_the_completion(typed: str, kind: Kind, part: str) -> None:
    found = view_of(*TITLES).suggest(typed, limit=9)[0]
    assert (found.text, found.kind, parts(found)) == ("카드 분실 신고", kind, [part])


def test_english_is_found_in_any_case_width_and_layout() -> None:
    view = view_of(*TITLES)
    for typed in ("lost c", "ＬＯＳＴ Ｃ", "LOSTC", "ㅣㅐㄴㅅ ㅊ", "lsot c", "lozt c"):
        found = view.suggest(typed, limit=1)[0]
        assert (found.text, parts(found)) == ("Lost card abroad", ["Lost c"])


def test_a_completion_in_nfd_is_highlighted_where_it_is_written() -> None:
    text = unicodedata.normalize("NFD", "새 카드 분실")
    found = view_of(text).suggest("카드 ㅂ", limit=1)[0]
    assert parts(found) == [unicodedata.normalize("NFD", "카드 분실")[: len(parts(found)[0])]]
    assert unicodedata.normalize("NFC", parts(found)[0]) == "카드 분"


def test_capitals_are_read_without_shift_first() -> None:
    view = view_of("대출", "때", "ISA 계좌")
    assert [each.text for each in view.suggest("Eo", limit=9)] == ["대출", "때"]
    assert [each.text for each in view.suggest("EO", limit=9)] == ["대출"]
    assert [each.text for each in view.suggest("RpWHK", limit=9)] == ["ISA 계좌"]
    assert [each.text for each in view.suggest("IS", limit=9)] == ["ISA 계좌"]


@pytest.mark.parametrize("typed", ["ㅜ빵", "nQkd", "nQk"])
def test_a_word_of_both_scripts_is_found(typed: str) -> None:
    [found] = view_of("n빵", "나빵").suggest(typed, limit=9)
    assert (found.text, found.kind) == ("n빵", Kind.KEYBOARD)


def test_a_mistyped_english_word_comes_before_korean_initials() -> None:
    view = view_of("Card points", "초과 문의", "체크카드")
    found = [(each.text, each.kind) for each in view.suggest("crad", limit=9)]
    assert found == [("Card points", Kind.TYPO), ("초과 문의", Kind.KEYBOARD)]


def test_an_ending_counts_if_something_fits_with_it() -> None:
    assert [each.text for each in view_of("카드 신고", "카드 신고하기").suggest("카드 신고하기", limit=9)] == [
        "카드 신고하기"
    ]
    assert view_of("카드 신고").suggest("카드 신고 서류를 제출", limit=9) == []


def test_short_typed_texts_may_have_no_error() -> None:
    view = view_of("카드", "cards")
    assert view.suggest("가드", limit=1)[0].errors == 1
    assert view.suggest("가", limit=1) == []
    assert view.suggest("cqr", limit=1) == []


def test_suggestions_carry_what_is_known_of_the_completion() -> None:
    index = SuggestIndex()
    index.add([(7, [Completion("카드", Source.SYNONYM, "ko", 2.5)])])
    [found] = index.view().suggest("카", limit=1)
    assert found == Suggestion("카드", 7, Source.SYNONYM, "ko", 2.5, Kind.START, 0, ((0, 1),))


def test_heavy_and_then_short_completions_come_first() -> None:
    index = SuggestIndex()
    index.add(
        (0, [Completion(text, weight=weight)])
        for text, weight in [("card c", 1), ("card", 1), ("card b", 3), ("a card", 9), ("card a", -2)]
    )
    assert [found.text for found in index.view().suggest("card", limit=9)] == [
        *("card b", "card", "card c", "card a"),
        "a card",
    ]


def test_equal_texts_are_suggested_once_and_further_ones_instead() -> None:
    view = view_of(*["card"] * 100, "Card", "card b", "card c", "cardB")
    assert [found.text for found in view.suggest("c", limit=9)] == ["card", "cardB", "card c"]


def test_very_many_equal_texts_are_not_all_looked_at() -> None:
    index = SuggestIndex()
    index.add((slot, [Completion("card", weight=1)]) for slot in range(5000))
    index.add([(5000, [Completion("cards")])])
    assert [found.text for found in index.view().suggest("car", limit=9)] == ["card"]
    assert [found.text for found in index.view().suggest("cards", limit=9)] == ["cards"]


@pytest.mark.parametrize(
    "typed", ["", " ", "-", "\u0301", "\u200b", "카" * 300, "ㅋ" * 1000, "a" * 10000, "\ud800", "🙂"]
)
def test_odd_typed_texts_find_nothing(typed: str) -> None:
    assert view_of(*TITLES).suggest(typed, limit=9) == []
    assert view_of().suggest(typed, limit=9) == []


def test_long_typed_texts_are_compared_to_their_end() -> None:
    view = view_of("카드 분실 신고 접수 방법 하나", "카드 분실 신고 접수 방법 둘", "")
    assert [found.text[-1] for found in view.suggest("카드 분실 신고 접수 방법 ㄷ", limit=9)] == ["둘"]
    assert [found.text[-1] for found in view.suggest("ㅋㄷㅂㅅㅅㄱㅈㅅㅂㅂㅎㄴ", limit=9)] == ["나"]
    assert [found.text[-1] for found in view.suggest("ㅋㄷㅂㅅㅅㄱㅈㅅㅂㅂㄷ", limit=9)] == ["둘"]
    assert view.suggest("카드 분실 신고 접수 방법 셋", limit=9) == []
    assert view.suggest("카드 분실 신고 접수 방법을 알려 주세요", limit=9) == []


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(some_completions, max_size=3), max_size=20), st.data())
def test_suggestions_agree_with_a_comparison_of_all_words(
    documents: list[list[Completion]], data: st.DataObject
) -> None:
    random = data.draw(st.randoms(use_true_random=False))
    index = SuggestIndex()
    removed: set[int] = set()
    slots = [-1 - number if random.random() < 0.1 else number for number in range(len(documents))]
    with mock.patch.object(index_module, "LEAST_REMOVED", 2), mock.patch.object(index_module, "MERGED_ALWAYS", 4):
        for number, (slot, completions) in enumerate(zip(slots, documents, strict=True)):
            index.add([(slot, completions)])
            if random.random() < 0.2:
                removed.add(gone := slots[random.randrange(number + 1)])
                index.remove([gone])
    allowed = np.array([random.random() < 0.8 for _ in documents], np.bool_) if random.random() < 0.8 else None
    language = random.choice([None, "ko", "en"])
    wanted = [
        (slot, own)
        for slot, completions in zip(slots, documents, strict=True)
        for own in completions
        if slot not in removed
        and (allowed is None or (slot >= 0 and allowed[slot]))
        and (language is None or own.language in ("", language))
    ]
    typed = typed_for(random, [own.text for completions in documents for own in completions] or ["카드"])
    found = index.view().suggest(typed, limit=(limit := random.choice([1, 3, 50])), allowed=allowed, language=language)
    assert [(each.text, each.slot, each.kind, each.errors) for each in found] == expected(wanted, typed, limit)
    assert all(0 <= start < end <= len(each.text) for each in found for start, end in each.ranges)
    assert len(index) == sum(len(own) for slot, own in zip(slots, documents, strict=True) if slot not in removed)


def typed_for(random: Random, texts: list[str]) -> str:
    """Returns what someone may type who wants one of these texts."""
    text = random.choice(texts)
    text = text[random.randrange(len(text) + 1) :] if random.random() < 0.5 else text
    made = random.choice(WAYS)(text)
    made = made[: random.randrange(1, len(made) + 2)]
    for _ in range(random.choice([0, 0, 1, 2])):
        place = random.randrange(len(made) + 1)
        made = made[:place] + random.choice(["", "ㅏ", "ㄱ", "a", " ", "카"]) + made[place + random.randrange(2) :]
    return made if random.random() < 0.5 else keyboard.as_korean(made)


def test_a_view_never_changes() -> None:
    index = SuggestIndex()
    index.add([(0, [Completion("card a")]), (1, [Completion("card b")])])
    view = index.view()
    index.remove([0])
    index.add((slot, [Completion(f"card {slot}")]) for slot in range(2, 3000))
    later = index.view()
    index.remove(range(2, 3000))
    assert [found.text for found in view.suggest("card", limit=9)] == ["card a", "card b"]
    assert [found.text for found in later.suggest("card", limit=2)] == ["card b", "card 2"]
    assert [found.text for found in index.view().suggest("card", limit=9)] == ["card b"]
    assert (len(view), len(later), len(index)) == (2, 2999, 1)


def test_the_last_completion_can_be_removed() -> None:
    index = SuggestIndex()
    index.add((slot, [Completion("card")]) for slot in range(2000))
    index.remove(range(2000))
    assert index.view().suggest("card", limit=9) == index.view().suggest("carf", limit=9) == []
    index.add([(0, [Completion("card")])])
    assert index.view().suggest("car", limit=9)[0].slot == 0


def test_too_many_completions_are_left_out_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    index = SuggestIndex()
    with mock.patch.object(index_module, "MOST_COMPLETIONS", 2):
        index.add([(0, [Completion("card"), Completion("cart"), Completion("carp")])])
        index.add([(1, [Completion("cargo")])])
        assert [found.text for found in index.view().suggest("car", limit=9)] == ["card", "cart"]
        index.remove([0])
    assert [record.message for record in caplog.records] == [
        "there are 2 completions; suggestions have no further texts"
    ]


def test_a_filter_leaves_out_what_belongs_to_no_document() -> None:
    index = SuggestIndex()
    index.add([(-1, [Completion("카드")]), (-7, [Completion("카드 한도")])])
    for documents in (0, 1):
        allowed = np.ones(documents, np.bool_)
        assert index.view().suggest("카", limit=9, allowed=allowed) == []
        assert index.view().exact("카", limit=9, allowed=allowed) == []
    assert [found.slot for found in index.view().suggest("카", limit=9)] == [-1, -7]
    index.remove([-1])
    assert [found.slot for found in index.view().suggest("카", limit=9)] == [-7]


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [
        ("en", ["", "en", "EN_us", "en-GB"]),
        ("en-us", ["", "en", "EN_us"]),
        ("eng", [""]),
        ("zh-hant-tw", ["", "zh"]),
    ],
)
def test_a_language_offers_its_parts_and_what_it_is_a_part_of(wanted: str, offered: list[str]) -> None:
    index = SuggestIndex()
    codes = ["", "en", "EN_us", "en-GB", "zh", "zh-Hans"]
    index.add((slot, [Completion(f"card {slot}", language=code)]) for slot, code in enumerate(codes))
    assert [found.language for found in index.view().suggest("card", limit=9, language=wanted)] == offered


def test_too_many_languages_count_as_none() -> None:
    index = SuggestIndex()
    with mock.patch.object(index_module, "MOST_LANGUAGES", 2):
        index.add([(0, [Completion("card", language="en"), Completion("카드", language="ko")])])
    assert [found.language for found in index.view().suggest("car", limit=9)] == ["en"]
    assert [found.language for found in index.view().suggest("카", limit=9)] == [""]
