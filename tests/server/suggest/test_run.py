import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.suggest.completion import Completion, Source
from server.suggest.run import (
    LATER_WORD,
    READ_WHOLE,
    Run,
    encoded,
    least,
    numbers_of,
    rank_of_first_word,
    weight_bits,
)

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


completions = st.builds(Completion, st.integers(0, 63).map("x".__mul__), st.sampled_from(Source), weight=finite)


@given(st.lists(st.tuples(completions, st.booleans()), min_size=2, max_size=2))
def test_ranks_order_by_first_word_then_weight_then_source_then_length(both: list[tuple[Completion, bool]]) -> None:
    weights = weight_bits(np.array([own.weight for own, _ in both], np.float32), np.zeros(2, np.float32)).tolist()
    ranks = [
        rank_of_first_word(own, number, weight) | (LATER_WORD if later else 0)
        for number, ((own, later), weight) in enumerate(zip(both, weights, strict=True))
    ]
    keys = [
        (later, -own.weight, own.source is not Source.TITLE, len(own.text), number)
        for number, (own, later) in enumerate(both)
    ]
    assert (ranks[0] < ranks[1]) == (keys[0] < keys[1])
    assert numbers_of(np.array(ranks, np.uint64)).tolist() == [0, 1]


def test_the_best_of_every_range_are_found() -> None:
    random = np.random.default_rng(1)
    count = 3 * READ_WHOLE
    keys = np.sort(random.integers(0, 1 << 30, count)).astype(">u4").view("S4")
    run = Run.of(keys, random.integers(0, 1 << 60, count).astype(np.uint64), np.zeros(count, np.uint16))
    for low, high in [(0, count), (1, count - 1), (100, 100), (63, 65), *np.sort(random.integers(0, count, (200, 2)))]:
        for wanted in (1, 7, 300):
            found = np.sort(run.ranks[run.best(int(low), int(high), wanted)])
            assert found.tolist() == np.sort(run.ranks[low:high])[:wanted].tolist()


@given(st.lists(st.text(alphabet="ab카\u4e00\uffdc", max_size=4), max_size=20), st.text("ab카\u4e00\uffdc", max_size=5))
def test_a_range_holds_the_keys_that_begin_with_letters(texts: list[str], letters: str) -> None:
    keys = np.array([encoded(text)[:8] for text in texts], "S8")
    run = Run.of(keys, np.arange(len(texts), dtype=np.uint64), np.zeros(len(texts), np.uint16))
    low, high = run.beginning_with(letters)
    first = encoded(letters)[:8]
    assert sorted(run.ranks[low:high].tolist()) == [
        number for number, text in enumerate(texts) if encoded(text)[:8].startswith(first)
    ]


def test_the_least_values_may_be_all() -> None:
    assert sorted(least(np.array([3, 1, 2]), 5).tolist()) == [0, 1, 2]
    assert sorted(least(np.array([3, 1, 2]), 2).tolist()) == [1, 2]


@given(st.lists(st.tuples(finite, st.floats(0, 1, width=32)), min_size=1, max_size=9))
def test_demand_adds_at_most_half_of_a_weight(both: list[tuple[float, float]]) -> None:
    weights, demands = (np.array(each, np.float32) for each in zip(*both, strict=True))
    most = np.float64(weights) + 0.5 * np.maximum(np.abs(np.float64(weights)), 1)
    heaviest = np.minimum(most, np.finfo(np.float32).max).astype(np.float32)
    none, all_of_it = np.zeros_like(demands), np.ones_like(demands)
    bits = weight_bits(weights, demands)
    assert (bits <= weight_bits(weights, none)).all(), "demand never makes a weight less"
    assert (bits >= weight_bits(heaviest, none)).all()
    np.testing.assert_array_equal(weight_bits(weights, all_of_it), weight_bits(heaviest, none))
