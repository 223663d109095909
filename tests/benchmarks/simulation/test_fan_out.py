"""Compares the simulation with what queueing theory and probability know."""

import numpy as np
import pytest

from benchmarks.simulation.fan_out import Cluster, Disturbances, simulate

SECOND = np.array([1.0])
EXPONENTIAL = -np.log1p(-(np.arange(10_000) + 0.5) / 10_000)


def test_calls_of_equal_length_wait_as_in_an_m_d_1_queue() -> None:
    rate = 0.5
    times = simulate(Cluster(shards=100, replicas=1, cores=1, rate=rate, service=SECOND), queries=40_000, seed=1)
    assert times.shards[:, 0].mean() - 1 == pytest.approx(rate / (2 * (1 - rate)), rel=0.05)


def test_calls_of_random_length_take_as_long_as_in_an_m_m_1_queue() -> None:
    rate = 0.5
    cluster = Cluster(shards=100, replicas=1, cores=1, rate=rate, service=EXPONENTIAL)
    assert simulate(cluster, queries=20_000, seed=1).shards.mean() == pytest.approx(1 / (1 - rate), rel=0.05)


def test_two_cores_wait_as_in_an_m_m_2_queue() -> None:
    cluster = Cluster(shards=100, replicas=1, cores=2, rate=1.0, service=EXPONENTIAL)
    # Erlang C at a utilisation of one half: 1/3 of the calls wait, for 1 s on average.
    assert simulate(cluster, queries=20_000, seed=1).shards.mean() == pytest.approx(1 + 1 / 3, rel=0.05)


def test_replicas_share_the_calls() -> None:
    cluster = Cluster(shards=100, replicas=2, cores=1, rate=1.0, service=EXPONENTIAL)
    assert simulate(cluster, queries=20_000, seed=1).shards.mean() == pytest.approx(2, rel=0.05)


def test_one_replica_without_load_has_the_measured_distribution() -> None:
    service = np.array([1.0, 2.0, 3.0, 10.0])
    times = simulate(Cluster(shards=1, replicas=1, cores=1, rate=1e-6, service=service), queries=20_000, seed=1)
    values, counts = np.unique(times.queries.round(3), return_counts=True)
    assert values.tolist() == [1, 2, 3, 10]
    assert (counts / counts.sum()).tolist() == pytest.approx([0.25] * 4, abs=0.02)


@pytest.mark.parametrize("shards", [1, 10, 100])
def test_a_query_takes_as_long_as_the_longest_of_independent_calls(shards: int) -> None:
    cluster = Cluster(shards=shards, replicas=1, cores=1, rate=1e-6, service=EXPONENTIAL)
    mean = simulate(cluster, queries=10_000, seed=1).queries.mean()
    assert mean == pytest.approx(sum(1 / each for each in range(1, shards + 1)), rel=0.03)


def test_hedged_calls_without_load_take_the_earlier_answer() -> None:
    service = np.array([1.0] * 9 + [100.0])
    cluster = Cluster(shards=100, replicas=2, cores=1, rate=1e-6, service=service)
    times = simulate(cluster, queries=5_000, seed=1, hedge_seconds=2.0)
    assert times.hedged_share == pytest.approx(0.1, abs=0.01)
    assert np.unique(times.shards.round(3)).tolist() == [1, 3, 100]
    assert (times.shards > 50).mean() == pytest.approx(0.01, abs=0.002)


def test_one_replica_has_no_hedged_calls() -> None:
    cluster = Cluster(shards=10, replicas=1, cores=1, rate=0.5, service=EXPONENTIAL)
    plain, hedged = (simulate(cluster, queries=500, seed=1, hedge_seconds=each) for each in (np.inf, 0.1))
    assert hedged.hedged_share == 0
    assert hedged.queries.tolist() == plain.queries.tolist()


def test_disturbances_lengthen_the_mean_as_computed() -> None:
    more = Disturbances(pause_share=0.1, pause_seconds=5, slow_share=0.2, slow_factor=3, slow_seconds=10)
    cluster = Cluster(shards=100, replicas=2, cores=1, rate=1e-3, service=SECOND, disturbances=more)
    mean = simulate(cluster, queries=5_000, seed=1).shards.mean()
    assert mean == pytest.approx(more.mean_service(1.0), rel=0.03)


def test_equal_seeds_give_equal_times() -> None:
    cluster = Cluster(shards=5, replicas=2, cores=2, rate=3, service=EXPONENTIAL)
    first, second = (simulate(cluster, queries=300, seed=4, hedge_seconds=1.0) for _ in range(2))
    assert first.queries.tolist() == second.queries.tolist()
