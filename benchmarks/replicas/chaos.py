"""Kills servers and restarts PostgreSQL under writes and searches, and looks for what was lost."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.replicas.checking import compare_answers, find_losses, wait_until_same
from benchmarks.replicas.replica import START_SECONDS, Replica, target_of
from benchmarks.replicas.traffic import DEADLINE_SECONDS, Traffic
from benchmarks.serving.figure import Figure
from tests.postgresql import Cluster

WRITERS = 3
SEARCHERS = 4

PAUSES_SECONDS = (0.1, 1.5)
"""Bounds of the time between two kills, besides that until another server serves."""

UNREADY_SHARE = 0.25
"""Share of the kills that may hit a server that is still starting."""

DOWN_SECONDS = (0.0, 2.0)
"""Bounds of the time for which PostgreSQL stays down, besides those of its stop and start."""

UP_SECONDS = 5.0
"""Minimum time between two restarts of PostgreSQL."""

ALLOWED_CONNECTIONS = 18
"""Connections of a server, as docs/store.md says."""

PRINTED = 5


@dataclass
class Killings:
    """The kills and restarts so far.

    Attributes:
        kills: Servers that were killed.
        outages_seconds: Time of each restart of PostgreSQL, from the begin of its stop until it answers.
    """

    kills: int = 0
    outages_seconds: list[float] = field(default_factory=list)


def measure_chaos(
    replicas: Sequence[Replica],
    cluster: Cluster,
    *,
    kills: int,
    restarts: int,
    deadline_seconds: float = DEADLINE_SECONDS,
    seed: int = 0,
) -> Iterator[Figure]:
    """Yields what clients noticed and what was lost. All servers must serve; searches have a deadline."""
    traffic = Traffic(
        target_of(replicas), writers=WRITERS, searchers=SEARCHERS, deadline_seconds=deadline_seconds, seed=seed
    )
    started = time.monotonic()
    try:
        done = kill_at_random(replicas, cluster, kills=kills, restarts=restarts, rng=random.Random(seed))
        for each in replicas:
            each.wait_until_serving()
    finally:
        counts = traffic.stop()
    lasted = time.monotonic() - started
    outages = ", ".join(f"{each:.1f}" for each in done.outages_seconds)
    refused = sum(each.refused for each in replicas)
    note = f"within {lasted:,.0f} s; {refused} starts ended because PostgreSQL was away"
    yield Figure("servers killed", [done.kills], "{:.0f}", at_least=kills, note=note)
    yield Figure(
        "restarts of PostgreSQL", [len(done.outages_seconds)], "{:.0f}", at_least=restarts, note=f"away: {outages} s"
    )
    note = f"of {len(counts.searches):,}{_first(counts.failed)}"
    yield Figure("failed searches", [len(counts.failed)], "{:.0f}", at_most=0, note=note)
    yield Figure("search, p50", [1e3 * float(np.median(counts.searches))], "{:,.0f} ms")
    yield Figure("search, p99", [1e3 * float(np.percentile(counts.searches, 99))], "{:,.0f} ms")
    yield Figure("slowest search", [max(counts.searches)], "{:.1f} s")
    repeats = ", ".join(f"{count:,} {code}" for code, count in counts.repeats.items())
    yield Figure("acknowledged changes of documents", [counts.writes], "{:,.0f}", note=f"calls repeated: {repeats}")
    yield Figure("wrong answers to writes", [len(counts.wrong)], "{:.0f}", at_most=0, note=_first(counts.wrong))
    last = max(each.version for each in counts.documents.values())
    yield Figure("all servers at the same change after", [wait_until_same(replicas, last)], "{:.1f} s")
    losses = [loss for each in replicas for loss in find_losses(each, counts.documents)]
    note = f"of {len(counts.documents):,} documents on {len(replicas)} servers{_first(losses)}"
    yield Figure("lost or wrong documents", [len(losses)], "{:.0f}", at_most=0, note=note)
    live = compare_answers(replicas, counts.documents)
    yield Figure("answers with other hits", [live.hits], "{:.0f}", at_most=0, note=f"of {live.compared:,} in 3 modes")
    yield Figure("answers with other scores", [live.scores], "{:.0f}", at_most=0)
    yield Figure(
        "connections of a server", [_connections(cluster) / len(replicas)], "{:.1f}", at_most=ALLOWED_CONNECTIONS
    )
    for each in replicas:
        each.restart()
    for each in replicas:
        each.wait_until_serving()
    same = compare_answers(replicas, counts.documents)
    yield Figure("answers with other scores, once all have restarted", [same.scores], "{:.0f}", at_most=0)
    faults = [fault for each in replicas for fault in each.faults]
    yield Figure("faults in the logs", [len(faults)], "{:.0f}", at_most=0, note=_first(faults))


def kill_at_random(
    replicas: Sequence[Replica], cluster: Cluster, *, kills: int, restarts: int, rng: random.Random
) -> Killings:
    """Kills servers, one of which always serves, and restarts PostgreSQL meanwhile."""
    done, failed = Killings(), list[BaseException]()

    def restart_database() -> None:
        try:
            for number in range(restarts):
                while done.kills < (number + 0.5) * kills / restarts:
                    time.sleep(0.05)
                began = time.monotonic()
                cluster.stop("immediate" if number % 2 else "fast")
                time.sleep(rng.uniform(*DOWN_SECONDS))
                cluster.start()
                done.outages_seconds.append(time.monotonic() - began)
                time.sleep(UP_SECONDS)
        except BaseException as error:
            failed.append(error)

    restarting = threading.Thread(target=restart_database)
    restarting.start()
    try:
        while done.kills < kills and not failed:
            victim = rng.choice(replicas)
            _wait_for_another(replicas, victim)
            if rng.random() >= UNREADY_SHARE:
                victim.wait_until_serving()
            victim.kill()
            done.kills += 1
            time.sleep(rng.uniform(*PAUSES_SECONDS))
    finally:
        done.kills = max(done.kills, kills)  # The thread waits for it.
        restarting.join()
    if failed:
        raise failed[0]
    return done


def _wait_for_another(replicas: Sequence[Replica], victim: Replica) -> None:
    until = time.monotonic() + START_SECONDS
    while not any(each.is_serving for each in replicas if each is not victim):
        if time.monotonic() > until:
            raise TimeoutError("no server serves")
        time.sleep(0.05)


def _connections(cluster: Cluster) -> int:
    ((count,),) = cluster.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chaja'")
    assert isinstance(count, int)
    return count


def _first(problems: Sequence[str]) -> str:
    return "".join(f"\n    {each}" for each in problems[:PRINTED])
