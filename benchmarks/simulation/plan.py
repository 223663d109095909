"""Plans a cluster: shards, replicas, memory, cost and recovery, from the measured cost of a shard and assumptions."""

import math
from dataclasses import dataclass
from typing import Any

from benchmarks.simulation.fan_out import Disturbances

HOURS_A_MONTH = 730

MOST_REPLICAS = 100

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """Figures that nothing here measures; each is a flag.

    Attributes:
        rate: Queries a second.
        cores: Cores of a replica.
        utilisation: Largest share of a replica's cores that searches use, with one replica of each shard lost.
        replica_available: Share of the time in which a replica answers.
        available: Smallest share of queries that all shards answer.
        fixed_milliseconds: Encoding, network and merge of a query, added to each.
        network_mb_per_second: Speed at which a new replica receives a snapshot.
        log_vectors_per_second: Speed at which the store sends documents with their vectors.
        snapshot_age_seconds: Age of the newest snapshot.
        writes_per_second: Vectors written to the whole cluster.
        core_hour_price: Price of a core, in USD an hour.
        gib_hour_price: Price of a GiB of memory, in USD an hour.
        memory_factor: Memory to pay for, as a multiple of the index: the process, growth and an extended graph.
    """

    rate: float = 200.0
    cores: int = 1
    utilisation: float = 0.7
    replica_available: float = 0.999
    available: float = 0.9999
    fixed_milliseconds: float = 15.0
    network_mb_per_second: float = 200.0
    log_vectors_per_second: float = 20_000.0
    snapshot_age_seconds: float = 600.0
    writes_per_second: float = 100.0
    core_hour_price: float = 0.04
    gib_hour_price: float = 0.005
    memory_factor: float = 2.0


@dataclass(frozen=True)
class Plan:
    """A cluster for a number of vectors. Recovery is the time until a lost replica of a shard serves again."""

    vectors: int
    shards: int
    replicas: int
    cores: int
    memory_gib: float
    month_usd: float
    snapshot_recovery_seconds: float
    log_recovery_seconds: float


def plan(
    vectors: int, shard: dict[str, Any], *, mean_seconds: float, disturbances: Disturbances, assumed: Assumptions
) -> Plan:
    """Returns the smallest cluster that carries the rate with one replica of each shard lost, and is available.

    `shard` is a measured shard of `make bench-shard`; `mean_seconds` is the mean CPU time of its searches.
    """
    shards = math.ceil(vectors / shard["vectors"])
    busy_cores = assumed.rate * disturbances.mean_service(mean_seconds)
    for_rate = math.ceil(busy_cores / (assumed.cores * assumed.utilisation)) + 1
    replicas = max(for_rate, replicas_for(shards, each=assumed.replica_available, whole=assumed.available))
    cores = shards * replicas * assumed.cores
    memory_gib = shards * replicas * shard["memory_bytes"] * assumed.memory_factor / GIB
    hour = cores * assumed.core_hour_price + memory_gib * assumed.gib_hour_price
    append_rate = shard["vectors"] / shard["append_seconds"]
    log_rate = min(append_rate, assumed.log_vectors_per_second)
    missed = assumed.snapshot_age_seconds * assumed.writes_per_second / shards
    from_snapshot = shard["snapshot_bytes"] / (assumed.network_mb_per_second * 1e6) + shard["restore_seconds"]
    return Plan(
        vectors,
        shards,
        replicas,
        cores,
        memory_gib,
        hour * HOURS_A_MONTH,
        from_snapshot + missed / log_rate,
        shard["vectors"] / log_rate + shard["build_seconds"],
    )


def replicas_for(shards: int, *, each: float, whole: float) -> int:
    """Returns the fewest replicas of each shard with which all shards answer; replicas fail independently.

    `each` and `whole` are the shares of time in which a replica, and at least one replica of every shard, answers.
    """
    return next(
        (count for count in range(1, MOST_REPLICAS) if (1 - (1 - each) ** count) ** shards >= whole), MOST_REPLICAS
    )
