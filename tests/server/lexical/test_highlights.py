"""Highlights against their definition, and the alignment of folded texts."""

import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.lexical.folding import aligned_fold
from server.lexical.highlights import MOST_CHARACTERS, ranges_of
from server.lexical.tokens import fold, places_of, terms_of

texts = st.one_of(
    st.text(max_size=30),
    st.text("가각카드분실ㄱㅏㄳﾡￂｶﾞ\u1112\u1161\u11abＡa ée\u0301ß㈜ﬁ·\u00ad\u200d-", max_size=20),
    st.text("카드를 분실했어요 card lost", max_size=20).map(lambda text: unicodedata.normalize("NFD", text)),
)


def marked(text: str, query: str) -> str:
    """Returns a text with brackets around what matches a query."""
    shown = ""
    at = 0
    for start, end in ranges_of([text], np.unique(terms_of([query])[0]))[0].tolist():
        shown += f"{text[at:start]}[{text[start:end]}]"
        at = end
    return shown + text[at:]


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("카드 분실 신고", "카드를 잃어버렸어요", "[카드] 분실 신고"),
        ("신용카드를 분실했어요", "카드 분실", "신용[카드]를 [분실]했어요"),
        ("이체한도 변경", "이체 한도", "[이체][한도] 변경".replace("][", "")),
        ("카 드", "카드", "카 드"),
        ("카 드", "카", "[카] 드"),
        ("카드", "카", "카드"),
        ("Ｃａｒｄ LOST, card", "Card", "[Ｃａｒｄ] LOST, [card]"),
        ("ﾊﾟｽﾜｰﾄﾞ 변경", "パスワード", "[ﾊﾟｽﾜｰﾄﾞ] 변경"),
        ("㈜카카오", "주", "[㈜]카카오"),
        ("ca\u00adrd", "card", "[ca\u00adrd]"),
        ("계좌·카드", "카드", "계좌·[카드]"),
        ("🎉 축하 🎉", "🎉", "[🎉] 축하 [🎉]"),
        ("대출", "환율", "대출"),
        ("", "환율", ""),
        ("가나다", "?!", "가나다"),
    ],
)
def test_words_and_pairs_of_a_query_are_found(text: str, query: str, expected: str) -> None:
    assert marked(text, query) == expected
    assert unicodedata.normalize("NFC", marked(unicodedata.normalize("NFD", text), query)) == unicodedata.normalize(
        "NFC", expected
    )


@given(texts)
def test_the_parts_of_an_aligned_text_fold_to_the_whole(text: str) -> None:
    aligned = aligned_fold(text)
    assert aligned.text == fold(text)
    folded, written = aligned.composed_starts.tolist(), aligned.written_starts.tolist()
    assert (folded[0], folded[-1], written[0], written[-1]) == (0, len(aligned.text), 0, len(text))
    for position in range(len(folded) - 1):
        part = text[written[position] : written[position + 1]]
        assert fold(part) == aligned.text[folded[position] : folded[position + 1]]


@given(texts)
def test_a_text_has_the_same_terms_with_places_as_without(text: str) -> None:
    assert sorted(places_of(fold(text)).codes.tolist()) == sorted(terms_of([text])[0].tolist())


@given(texts, texts)
def test_ranges_cover_exactly_the_shared_terms(text: str, query: str) -> None:
    wanted = np.unique(terms_of([query])[0])
    before, own, after = ranges_of(["카드", text, query], wanted)
    assert before.tolist() == ranges_of(["카드"], wanted)[0].tolist()
    assert after.tolist() == ranges_of([query], wanted)[0].tolist()
    ranges = own.tolist()
    assert all(0 <= start < end <= len(text) for start, end in ranges)
    assert all(one[1] < next_one[0] for one, next_one in pairwise(ranges))
    assert bool(ranges) == bool(np.isin(terms_of([text])[0], wanted).any())
    places = places_of(fold(text))
    shared = np.isin(places.codes, wanted)
    spans = np.stack((places.starts[shared], places.ends[shared]), axis=1).astype(np.int32)
    covered = {at for start, end in aligned_fold(text).written(spans).tolist() for at in range(start, end)}
    assert covered == {at for start, end in ranges for at in range(start, end)}


def test_only_the_beginning_of_a_very_long_text_is_searched() -> None:
    text = "가나 " * MOST_CHARACTERS
    (ranges,) = ranges_of([text], np.unique(terms_of(["가나"])[0]))
    assert ranges[0].tolist() == [0, 2]
    assert MOST_CHARACTERS - 300 < ranges[-1, 1] <= MOST_CHARACTERS
