import unicodedata
from typing import Literal, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.lexical.tokens import fold
from server.sections import SECTION_CHARACTERS, normalized, sections

Form = Literal["NFC", "NFKC"]
FORMS: tuple[Form, ...] = get_args(Form)
SCRIPTS = st.text(st.sampled_from("ab \n카드값ㅋ\u1112\u1161\u11ab\u0301\u0316e\u3099か\uff76\uff9eﷺ😀\u09c7\u09be"))
MARKS = "\u0301\u0316"
"""Two combining marks of different classes; normalising must reorder a run of them."""


@given(SCRIPTS, st.integers(1, 20))
@example("", 1)
def test_sections_are_the_text_without_gaps_and_within_the_size(text: str, characters: int) -> None:
    found = list(sections(text, characters=characters))
    assert "".join(found) == text
    assert all(0 < len(section) <= characters for section in found) or found == [""]


@given(SCRIPTS, st.text(st.sampled_from("abc 카드값 \n"), min_size=1, max_size=20), st.sampled_from(FORMS))
def test_normalising_in_sections_gives_the_same_text(text: str, separator: str, form: Form) -> None:
    # The separator gives every section a place for its cut, as in all natural text.
    whole = f"{separator}{text}" * (3 * SECTION_CHARACTERS // (len(separator) + len(text)))
    assert normalized(form, whole) == unicodedata.normalize(form, whole)


def test_a_section_begins_with_whitespace_where_there_is_any() -> None:
    assert list(sections("lost card abroad", characters=12)) == ["lost card", " abroad"]
    assert list(sections("카드를\u0301\u0316잃어", characters=5)) == ["카드를\u0301\u0316", "잃어"]
    assert list(sections("카드를\u0301\u0316잃어", characters=4)) == ["카드", "를\u0301\u0316잃", "어"]


@pytest.mark.parametrize("text", [MARKS * 50_000, "ﷺ" * 50_000, "가" * 50_000])
def test_no_function_that_holds_the_gil_gets_more_than_a_section(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0
    normalize = unicodedata.normalize

    def watched(form: Form, part: str) -> str:
        nonlocal longest
        longest = max(longest, len(part))
        return normalize(form, part)

    monkeypatch.setattr("server.sections.unicodedata.normalize", watched)
    fold(text)
    normalized("NFC", text)
    assert 0 < longest <= SECTION_CHARACTERS
