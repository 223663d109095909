from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.suggest import typing_errors
from server.suggest.run import Run, encoded
from server.suggest.segment import Segment
from server.suggest.trie import Trie
from server.suggest.typing_errors import errors_allowed, fits_with_errors
from tests.server.suggest.reference import distance

words = st.text(alphabet="abㄱ", min_size=1, max_size=12)


def segment_of(texts: list[str], *, first: int = 0, with_trie: bool = True) -> Segment:
    keys = np.array([encoded(text) for text in texts], "S64")
    run = Run.of(keys, np.arange(first, first + len(texts), dtype=np.uint64), np.zeros(len(texts), np.uint16))
    return Segment(run, run, Trie.of(run.keys) if with_trie else None)


def errors_of(segments: list[Segment], typed: str, errors: int) -> dict[int, int]:
    least: dict[int, int] = {}
    for segment, fits in zip(segments, fits_with_errors(segments, typed, errors), strict=True):
        for position, count in zip(fits.positions.tolist(), fits.errors.tolist(), strict=True):
            number = int(segment.letters.ranks[position])
            least[number] = min(count, least.get(number, count))
    return least


@settings(deadline=None)
@given(st.lists(st.tuples(st.lists(words, max_size=15), st.booleans()), max_size=4), words, st.sampled_from([1, 2]))
def test_errors_agree_with_the_distance_of_all_beginnings(
    divided: list[tuple[list[str], bool]], typed: str, errors: int
) -> None:
    segments, texts = [], list[str]()
    for own, with_trie in divided:
        segments.append(segment_of(own, first=len(texts), with_trie=with_trie))
        texts += own
    distances = {number: max(1, distance(typed, text)) for number, text in enumerate(texts)}
    expected = {number: own for number, own in distances.items() if own <= errors}
    assert errors_of(segments, typed, errors) == expected


@pytest.mark.parametrize("typed", ["card", "crad", "caard", "crd", "cord"])
def test_each_kind_of_error_counts_once(typed: str) -> None:
    assert errors_of([segment_of(["card limit"])], typed, 1) == {0: 1}


def test_the_part_that_fits_is_known() -> None:
    [fits] = fits_with_errors([segment_of(["cardlimit"])], "cordlimi", 2)
    assert fits.letters[fits.errors == 1].tolist() == [8]
    assert fits.letters[fits.errors == 2].tolist() == [7, 8]


def test_longer_texts_may_have_more_errors() -> None:
    assert [errors_allowed("a" * count) for count in (3, 4, 7, 8, 99)] == [0, 1, 1, 2, 2]


def test_long_texts_are_compared_up_to_a_length() -> None:
    assert errors_of([segment_of(["b" + "a" * 31])], "a" * 30, 2) == {0: 1}
    for length in (31, 32, 33, 300):
        assert errors_of([segment_of(["a" * 32])], "a" * length, 2) == {}


def test_the_best_of_too_many_words_are_compared() -> None:
    texts = [f"same beginning {number}" for number in range(9)]
    with mock.patch.object(typing_errors, "MOST_COMPARED", 3):
        assert set(errors_of([segment_of(texts)], "sane beginning", 2)) == {0, 1, 2}
