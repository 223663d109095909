from hypothesis import given
from hypothesis import strategies as st

from server.suggest.ranges import to_utf8, to_utf16

TEXT = "é🙂 카드"


def test_ranges_are_counted_in_the_units_of_other_languages() -> None:
    assert to_utf16(TEXT, [(0, 1), (1, 2), (3, 5)]) == [(0, 1), (1, 3), (4, 6)]
    assert to_utf8(TEXT, [(0, 1), (1, 2), (3, 5)]) == [(0, 2), (2, 6), (7, 13)]


@given(st.text(), st.data())
def test_a_converted_range_holds_the_same_part(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    [(first, last)] = to_utf16(text, [(start, end)])
    units = text.encode("utf-16-le", "surrogatepass")
    assert units[2 * first : 2 * last].decode("utf-16-le", "surrogatepass") == text[start:end]
    [(first, last)] = to_utf8(text, [(start, end)])
    assert text.encode("utf-8", "surrogatepass")[first:last].decode("utf-8", "surrogatepass") == text[start:end]
