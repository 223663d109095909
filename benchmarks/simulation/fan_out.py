"""Simulates queries that are sent to all shards at once, and are answered when the slowest shard has answered.

Queries arrive at random, all shards at the same moments. A shard sends each query to one of its replicas, chosen at
random. A replica has cores and one queue, first come, first served. A hedged call is a second one, sent to another
replica if the first has not answered after a fixed time; the earlier answer counts, and neither call is cancelled.
The simulation is exact: it handles calls and hedged calls in the order of their times, for all shards at once.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KEPT_SHARDS = 200
"""Number of shards whose own response times are kept."""


@dataclass(frozen=True, kw_only=True)
class Disturbances:
    """Delays beyond the measured service times.

    Attributes:
        pause_share: Share of calls with a pause, such as of a garbage collector.
        pause_seconds: Length of a pause.
        slow_share: Share of the time in which a replica is slow, as beside a noisy neighbour.
        slow_factor: Factor of service times of a slow replica.
        slow_seconds: Length of a slow time.
    """

    pause_share: float = 0.0
    pause_seconds: float = 0.0
    slow_share: float = 0.0
    slow_factor: float = 1.0
    slow_seconds: float = 1.0

    def mean_service(self, mean: float) -> float:
        """Returns the mean service time in seconds with disturbances, from the mean without."""
        return mean * (1 + self.slow_share * (self.slow_factor - 1)) + self.pause_share * self.pause_seconds


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The shards: `service` has equally likely service times in seconds; `rate` is in queries a second."""

    shards: int
    replicas: int
    cores: int
    rate: float
    service: NDArray[np.float64]
    disturbances: Disturbances = Disturbances()


@dataclass(frozen=True)
class Times:
    """Response times in seconds: of `queries` `[Q]`, and of their calls to some `shards` `[Q, S]`."""

    queries: NDArray[np.float64]
    shards: NDArray[np.float64]
    hedged_share: float


def simulate(cluster: Cluster, *, queries: int, seed: int, hedge_seconds: float = math.inf) -> Times:
    """Returns the response times of queries. The first tenth, in which queues form, is left out."""
    random = np.random.default_rng(seed)
    every = np.arange(cluster.shards)
    phases = random.random((cluster.shards, cluster.replicas))
    free = np.zeros((cluster.shards, cluster.replicas, cluster.cores))
    arrivals = np.cumsum(random.exponential(1 / cluster.rate, queries))
    kept = np.zeros((queries, min(cluster.shards, KEPT_SHARDS)))
    longest, hedged, waiting = np.zeros(queries), 0, 0
    pending: dict[int, tuple[NDArray[np.intp], NDArray[np.float64]]] = {}

    def call(shards: NDArray[np.intp], chosen: NDArray[np.intp], now: float) -> NDArray[np.float64]:
        """Returns the times at which calls that arrive now are answered."""
        core = free[shards, chosen].argmin(axis=1)
        duration = cluster.service[random.integers(0, len(cluster.service), len(shards))]
        more = cluster.disturbances
        start = np.maximum(free[shards, chosen, core], now)
        if more.slow_share:
            period = more.slow_seconds / more.slow_share
            slow = (start / period + phases[shards, chosen]) % 1 < more.slow_share
            duration = np.where(slow, duration * more.slow_factor, duration)
        if more.pause_share:
            duration = duration + more.pause_seconds * (random.random(len(shards)) < more.pause_share)
        done: NDArray[np.float64] = start + duration
        free[shards, chosen, core] = done
        return done

    def hedge(query: int) -> None:
        """Sends the hedged calls of a query, and closes it."""
        nonlocal hedged
        chosen, done = pending.pop(query)
        now = arrivals[query] + hedge_seconds
        late = every[done > now]
        if len(late) and cluster.replicas > 1:
            other = (chosen[late] + random.integers(1, cluster.replicas, len(late))) % cluster.replicas
            done[late] = np.minimum(done[late], call(late, other, now))
            hedged += len(late)
        close(query, done)

    def close(query: int, done: NDArray[np.float64]) -> None:
        kept[query] = done[: kept.shape[1]] - arrivals[query]
        longest[query] = done.max() - arrivals[query]

    for query, now in enumerate(arrivals):
        while waiting < query and arrivals[waiting] + hedge_seconds <= now:
            hedge(waiting)
            waiting += 1
        chosen = random.integers(0, cluster.replicas, cluster.shards)
        done = call(every, chosen, now)
        if math.isinf(hedge_seconds):
            close(query, done)
        else:
            pending[query] = chosen, done
    for query in sorted(pending):
        hedge(query)
    warm = queries // 10
    return Times(longest[warm:], kept[warm:], hedged / (queries * cluster.shards))
