"""Tests texts in columns of a terminal."""

from hypothesis import given
from hypothesis import strategies as st

from server.terminal import fitted, table


def test_korean_letters_take_two_columns() -> None:
    assert fitted("카드 abc", 6) == "카드 a"
    assert fitted("카드", 3) == "카 "
    assert fitted("a\x1b[31m\n", 10) == "a?[31m?   "


@given(text=st.text("ab \n", max_size=9), columns=st.integers(0, 12))
def test_narrow_texts_get_their_width(text: str, columns: int) -> None:
    assert len(fitted(text, columns)) == columns


def test_tables_are_aligned() -> None:
    assert table(["", "p50"], [["dense", "1.25"], ["both", "10"]]) == ["        p50", "dense  1.25", "both     10"]
