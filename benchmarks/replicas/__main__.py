"""`make bench-replicas`: measures three servers on one PostgreSQL, which runs on this machine and syncs its log.

First the time until a write on one server is found on the others. Then servers are killed with SIGKILL and PostgreSQL
is restarted, alternately with a clean stop and a crash, while a client of all three writes and searches: nothing may be
lost, and no search may fail. The exit code is 1 if a target is missed.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.replicas.chaos import measure_chaos
from benchmarks.replicas.replica import Replica, running_replicas
from benchmarks.replicas.visibility import measure_visibility
from benchmarks.serving.figure import Figure, report
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY
from server.catalogue.location import text_of
from server.closed_pipe import until_closed_pipe
from tests.postgresql import PLACES, Cluster

SERVERS = 3


def main() -> int:
    """Prints every figure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replicas", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR")
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="servers killed (default: 100)")
    parser.add_argument("--restarts", type=int, default=10, metavar="N", help="restarts of PostgreSQL (default: 10)")
    parser.add_argument("--seconds", type=float, default=60, metavar="S", help="seconds of visibility (default: 60)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all random choices (default: 0)")
    parser.add_argument("--only", choices=("visibility", "chaos"), help="measure only this")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep the logs of the servers in this directory")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to this file")
    options = parser.parse_args()
    if not PLACES:
        parser.error("PostgreSQL is missing: make postgresql")
    environment = describe_environment(" ".join(sys.argv))
    for name, value in environment.items():
        print(f"{name:14} {value}")
    return report(_measured(options), environment=environment, file=options.json)


def _measured(options: argparse.Namespace) -> Iterator[Figure]:
    with contextlib.closing(Cluster("fsync=on")) as cluster:
        if options.only in (None, "visibility"):
            print("\nVisibility", flush=True)
            with _replicas(options, cluster, "visibility") as replicas:
                yield from measure_visibility(replicas, seconds=options.seconds, seed=options.seed)
        if options.only in (None, "chaos"):
            print("\nKilled servers", flush=True)
            with _replicas(options, cluster, "chaos") as replicas:
                yield from measure_chaos(
                    replicas, cluster, kills=options.kills, restarts=options.restarts, seed=options.seed
                )


@contextlib.contextmanager
def _replicas(options: argparse.Namespace, cluster: Cluster, name: str) -> Iterator[list[Replica]]:
    """Runs servers on a new database. Their logs are kept in a folder of this name, or removed."""
    with contextlib.ExitStack() as stack:
        folder = options.logs or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        logs = folder / name
        logs.mkdir(parents=True, exist_ok=True)
        arguments = server_arguments(options.bundle.resolve(), text_of(cluster.new_database()))
        yield stack.enter_context(running_replicas(arguments, logs, count=SERVERS))


def server_arguments(bundle: Path, data: str) -> list[str]:
    """Returns the arguments of each server. It admits all calls, even on a busy machine."""
    return ["--bundle", str(bundle), "--data", data, "--metrics", "127.0.0.1:0", "--longest-wait-seconds", "60"]


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
