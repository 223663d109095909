import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.requests.sampling import BLOCK, ORDERS, Draw, Order, Sampler


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(ORDERS), st.integers(1, 50), st.integers(0, 2**40), st.integers(1, 8))
def test_every_worker_agrees(order: Order, count: int, seed: int, processes: int) -> None:
    alone = Sampler(order, count, seed=seed)
    whole = [alone[position] for position in range(300)]
    assert all(0 <= query < count for query in whole)
    for worker in range(processes):
        share = Sampler(order, count, seed=seed)
        assert [share[position] for position in range(worker, 300, processes)] == whole[worker::processes]


@pytest.mark.parametrize("order", ORDERS)
def test_a_position_has_the_same_query_in_any_order_of_access(order: Order) -> None:
    positions = [0, BLOCK - 1, BLOCK, 3 * BLOCK + 5, 10**12]
    expected = {position: Sampler(order, 100, seed=1)[position] for position in positions}
    shuffled = positions * 3
    random.Random(0).shuffle(shuffled)
    sampler = Sampler(order, 100, seed=1)
    assert [sampler[position] for position in shuffled] == [expected[position] for position in shuffled]


def test_sequential_repeats_the_file() -> None:
    sampler = Sampler("sequential", 3, seed=5)
    assert [sampler[position] for position in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_uniform_draws_all_with_the_same_frequency() -> None:
    count, draws = 50, 50_000
    sampler = Sampler("uniform", count, seed=3)
    seen = np.bincount([sampler[position] for position in range(draws)], minlength=count)
    assert len(seen) == count
    # Chi-squared with 49 degrees of freedom exceeds 85 once in a thousand times; the seed is fixed.
    assert ((seen - draws / count) ** 2 / (draws / count)).sum() < 85


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 1.5])
def test_zipf_frequencies_follow_the_exponent(exponent: float) -> None:
    count, draws = 100, 100_000
    sampler = Sampler("zipf", count, seed=4, exponent=exponent)
    seen = np.bincount([sampler[position] for position in range(draws)], minlength=count)
    shares = np.sort(seen)[::-1] / draws
    weights = np.arange(1, count + 1) ** -exponent
    expected = weights / weights.sum()
    assert shares[:10] == pytest.approx(expected[:10], rel=0.12)
    slope = np.polyfit(np.log(np.arange(1, 31)), np.log(shares[:30]), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.05)


def test_the_most_popular_queries_are_not_the_first_of_the_file() -> None:
    popular = set()
    for seed in range(20):
        sampler = Sampler("zipf", 100, seed=seed, exponent=2.0)
        popular.add(int(np.bincount([sampler[position] for position in range(500)]).argmax()))
    assert len(popular) > 10


@pytest.mark.parametrize("order", ["uniform", "zipf"])
def test_another_seed_draws_differently(order: Order) -> None:
    first, again, other = (Sampler(order, 1000, seed=seed) for seed in (1, 1, 2))
    draws: list[Any] = [[sampler[position] for position in range(100)] for sampler in (first, again, other)]
    assert draws[0] == draws[1] != draws[2]


def test_a_draw_follows_its_weights() -> None:
    draw = Draw([1.0, 0.0, 3.0], seed=1, stream=3)
    seen = np.bincount([draw[position] for position in range(40_000)], minlength=3) / 40_000
    assert seen[1] == 0
    assert seen == pytest.approx([0.25, 0, 0.75], abs=0.01)


def test_streams_of_one_seed_are_independent() -> None:
    one, two = (Draw(np.ones(1000), seed=1, stream=stream) for stream in (0, 1))
    same = sum(one[position] == two[position] for position in range(4000))
    assert same < 20
