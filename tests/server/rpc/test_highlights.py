"""Highlights in each unit, by the definition of Python's codecs."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaja.v1 import Highlights, TextRange, TextUnit
from server.lexical.tokens import terms_of
from server.rpc.highlights import highlights_of

ENCODINGS: dict[int, str] = {TextUnit.TEXT_UNIT_UTF16: "utf-16-le", TextUnit.TEXT_UNIT_UTF8: "utf-8"}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


def units(text: str, unit: int) -> int:
    """Returns the length of a text in a unit."""
    if unit == TextUnit.TEXT_UNIT_CODE_POINT:
        return len(text)
    return len(text.encode(ENCODINGS[unit])) // (2 if unit == TextUnit.TEXT_UNIT_UTF16 else 1)


def highlights(title: str, passage: str, query: str, unit: int) -> Highlights:
    return highlights_of(title, passage, np.unique(terms_of([query])[0]), unit)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("unit", TextUnit.values()[1:])
def test_ranges_are_in_the_unit_that_is_asked_for(unit: int, form: str) -> None:
    before, word, after = (unicodedata.normalize(form, part) for part in ("😀 é ", "카드", "를 분실"))  # type: ignore[arg-type]
    found = highlights("대출", before + word + after, "카드", unit)
    start = units(before, unit)
    assert found == Highlights(
        passage=before + word + after, passage_ranges=[TextRange(start=start, end=start + units(word, unit))]
    )


@given(texts, texts, st.sampled_from(TextUnit.values()[1:]))
def test_every_unit_names_the_same_ranges(before: str, after: str, unit: int) -> None:
    passage = f"{before} card {after}"
    ranges = highlights("", passage, "card", TextUnit.TEXT_UNIT_CODE_POINT).passage_ranges
    expected = [
        TextRange(start=units(passage[: each.start], unit), end=units(passage[: each.end], unit)) for each in ranges
    ]
    assert list(highlights("", passage, "card", unit).passage_ranges) == expected


def test_a_query_without_words_highlights_nothing() -> None:
    assert highlights("카드", "카드", "?!", TextUnit.TEXT_UNIT_UTF8) == Highlights(passage="카드")
