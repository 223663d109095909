import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.typed.typos import (
    NEIGHBOURS,
    Error,
    mistyped,
    mistyped_in_english,
    with_doubled,
    with_missing,
    with_neighbour,
    with_swapped,
)
from server.korean.keyboard import as_english

ERRORS = [with_neighbour, with_missing, with_doubled, with_swapped]

words = st.text(st.characters(min_codepoint=ord("가"), max_codepoint=ord("힣")), min_size=2, max_size=6)
korean = st.lists(words, min_size=1, max_size=4).map(" ".join)


def test_neighbours_are_mutual_and_near() -> None:
    assert set(NEIGHBOURS["g"]) == {"f", "h", "t", "v", "b"}
    assert all(key in NEIGHBOURS[other] for key, others in NEIGHBOURS.items() for other in others)
    assert "p" not in NEIGHBOURS["q"]


@pytest.mark.parametrize(
    ("error", "forms"),
    [
        (with_missing, ["bc", "ac", "ab"]),
        (with_doubled, ["aabc", "abbc", "abcc"]),
        (with_swapped, ["bac", "acb"]),
        (with_neighbour, ["qbc", "sbc", "zbc"]),
    ],
)
def test_an_error_is_at_each_key(error: Error, forms: list[str]) -> None:
    assert list(error("abc"))[: len(forms)] == forms


@pytest.mark.parametrize("error", ERRORS)
@given(text=korean, seed=st.integers(0, 1000))
def test_a_text_has_one_error_in_one_word(error: Error, text: str, seed: int) -> None:
    typed = mistyped(text, random.Random(seed), error=error)
    assert typed is not None
    pairs = [(old, new) for old, new in zip(text.split(), typed.split(), strict=True) if old != new]
    assert len(pairs) == 1
    old, new = map(as_english, pairs[0])
    assert len(new) - len(old) == (error is with_doubled) - (error is with_missing)
    if error is with_swapped:
        assert Counter(new) == Counter(old)
    else:
        assert sum((Counter(new.lower()) - Counter(old.lower())).values()) <= 1


@pytest.mark.parametrize("error", ERRORS)
def test_a_text_without_a_korean_word_of_two_syllables_has_no_error(error: Error) -> None:
    assert mistyped("ATM 앞 card", random.Random(0), error=error) is None


@given(st.integers(0, 1000))
def test_an_english_text_has_an_error_in_a_longer_word(seed: int) -> None:
    typed = mistyped_in_english("pay my bill 카드", random.Random(seed))
    assert typed is not None
    pay, my, bill, card = typed.split(" ")
    assert (pay, my, card) == ("pay", "my", "카드")
    assert bill != "bill"
    assert mistyped_in_english("pay my fee 카드", random.Random(seed)) is None
