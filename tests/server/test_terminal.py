"""Tests texts in columns of a terminal."""

from hypothesis import given
from hypothesis import strategies as st

from server.terminal import fitted, printable, table


def test_korean_letters_take_two_columns() -> None:
    assert fitted("카드 abc", 6) == "카드 a"
    assert fitted("카드", 3) == "카 "
    assert fitted("a\x1b[31m\n", 10) == "a?[31m?   "
    assert fitted("a\u3000b", 4) == "a?b ", "a wide space becomes a narrow mark"


@given(text=st.text("a카 \n\x1b\x85\u00ad\u061c\u200e\u202e\u2066\u2028\ufeff", max_size=9))
def test_nothing_that_a_terminal_acts_on_is_printed(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert set(shown) <= set("a카 ?")
    assert [each for each in shown if each != "?"] == [each for each in text if each in "a카 "]


@given(text=st.text("ab \n", max_size=9), columns=st.integers(0, 12))
def test_narrow_texts_get_their_width(text: str, columns: int) -> None:
    assert len(fitted(text, columns)) == columns


def test_tables_are_aligned() -> None:
    assert table(["", "p50"], [["dense", "1.25"], ["both", "10"]]) == ["        p50", "dense  1.25", "both     10"]
