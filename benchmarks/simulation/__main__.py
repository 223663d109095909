"""`make simulate-scale`: simulates clusters of shards, which Chaja does not have yet, of 10⁷, 10⁸ and 10⁹ vectors.

Service times, memory and rates are those of one shard that `make bench-shard` measured. Everything else is an
assumption: each is a flag and part of the output. Equal flags and files print equal figures.
"""

import argparse
import json
import math
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.simulation.fan_out import Cluster, Disturbances, Times, simulate
from benchmarks.simulation.plan import Assumptions, plan
from sample.server_process import REPOSITORY
from server.closed_pipe import until_closed_pipe
from server.ranking.options import Mode

HEDGE_PERCENTILE = 95

READ = {"vectors", "memory_bytes", "append_seconds", "build_seconds", "snapshot_bytes", "restore_seconds", "modes"}
"""The figures of a shard that are read."""

COLUMNS = (
    "vectors",
    "shards × replicas",
    "cores",
    "memory",
    "USD a month",
    "recovery from a snapshot, from the log",
    "p50, p99, p99.9",
    "the same with hedged calls",
)

PERCENTILES = (50, 99, 99.9)

SHARES = ("replica_available", "available", "slow_share", "pause_share")

MOST_CORES = 10_000_000
"""The simulation keeps a time for each core of the cluster."""

DISTURBED = Disturbances(pause_share=0.001, pause_seconds=0.03, slow_share=0.01, slow_factor=4.0, slow_seconds=1.0)


def main() -> int:
    """Prints the assumptions and a table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--shards", type=Path, default=REPOSITORY / "build/bench-shard.json", metavar="FILE")
    parser.add_argument("--shard-vectors", type=int, metavar="N", help="a measured size (default: the largest)")
    parser.add_argument("--mode", choices=[mode.name for mode in Mode], default=Mode.HYBRID.name)
    parser.add_argument("--vectors", type=_positive, nargs="+", default=[10**7, 10**8, 10**9], metavar="N")
    parser.add_argument("--queries", type=_positive, default=10_000, metavar="N", help="simulated (default: 10000)")
    parser.add_argument("--seed", type=_positive, default=1, metavar="N")
    for given in (Assumptions(), DISTURBED):
        for each in fields(given):
            default = getattr(given, each.name)
            kind = _share if each.name in SHARES else _positive if isinstance(default, int) else _above_zero
            flag = f"--{each.name.replace('_', '-')}"
            parser.add_argument(flag, type=kind, default=default, metavar="N", help="(default: %(default)s)")
    options = parser.parse_args()
    if options.utilisation > 1:
        parser.error("argument --utilisation: it is at most 1")
    assumed = Assumptions(**{each.name: getattr(options, each.name) for each in fields(Assumptions)})
    disturbances = Disturbances(**{each.name: getattr(options, each.name) for each in fields(Disturbances)})
    shard = _measured(options.shards, options.shard_vectors)
    service = np.array(shard["modes"][options.mode]["cpu_milliseconds"]) / 1000
    print(f"A simulation of a form that is planned, not built, from {options.shards}.")
    mean = f"{1000 * service.mean():.2f} ms CPU on average"
    print(f"measured: {options.mode} search of {shard['vectors']:,} vectors, {mean}")
    for name, given in (("assumed", assumed), ("disturbances", disturbances)):
        print(f"{name}: " + ", ".join(f"{each.name} {getattr(given, each.name):g}" for each in fields(given)))
    print(
        f"hedged: after the p{HEDGE_PERCENTILE} of a shard's calls; {options.queries:,} queries, seed {options.seed}\n"
    )
    print(" | ".join(COLUMNS))
    print("|".join(["---"] * len(COLUMNS)))
    for vectors in options.vectors:
        made = plan(vectors, shard, mean_seconds=service.mean(), disturbances=disturbances, assumed=assumed)
        if made.cores > MOST_CORES:
            raise SystemExit(f"error: {made.cores:,} cores are too many to simulate; lower --rate or --vectors")
        cluster = Cluster(
            shards=made.shards,
            replicas=made.replicas,
            cores=assumed.cores,
            rate=assumed.rate,
            service=service,
            disturbances=disturbances,
        )
        plain = simulate(cluster, queries=options.queries, seed=options.seed)
        after = float(np.percentile(plain.shards, HEDGE_PERCENTILE))
        hedged = simulate(cluster, queries=options.queries, seed=options.seed, hedge_seconds=after)
        print(
            f"{vectors:.0e} | {made.shards:,} × {made.replicas} | {made.cores:,} | {made.memory_gib:,.0f} GiB"
            f" | {made.month_usd:,.0f} | {made.snapshot_recovery_seconds:.1f} s, {made.log_recovery_seconds:.0f} s"
            f" | {_tail(plain, assumed)} | {_tail(hedged, assumed)}, {hedged.hedged_share:.1%} more calls",
            flush=True,
        )
    return 0


def _tail(times: Times, assumed: Assumptions) -> str:
    """Returns the percentiles of a query, with its fixed part."""
    values = assumed.fixed_milliseconds + 1000 * np.percentile(times.queries, PERCENTILES)
    return ", ".join(f"{value:.0f}" for value in values) + " ms"


def _measured(path: Path, vectors: int | None) -> dict[str, Any]:
    """Returns a measured shard of a file of `make bench-shard`, the largest if `vectors` is None."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["shards"]
        shards: dict[int, dict[str, Any]] = {each["vectors"]: each for each in listed if each.keys() >= READ}
    except OSError as error:
        raise SystemExit(f"error: {path}: {error.strerror}; make it with make bench-shard") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SystemExit(f"error: {path} is no file of make bench-shard; make it again") from None
    if not shards or (vectors is not None and vectors not in shards):
        sizes = ", ".join(str(size) for size in sorted(shards)) or "none"
        raise SystemExit(f"error: {path} has no shard of {vectors or 'any'} vectors; it has: {sizes}")
    return shards[max(shards) if vectors is None else vectors]


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def _above_zero(text: str) -> float:
    value = _number(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return value


def _share(text: str) -> float:
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not at least 0 and below 1")
    return value


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
