"""`make bench-loadtest`: measures the limits of the generator and its agreement with h2load.

Server and generator have one core each. Compared figures are measured alternately in one run, and medians are printed.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.generator.second_opinion import RATE_OF_ONE, ask_h2load, h2load_path
from benchmarks.generator.trivial_server import trivial_server
from benchmarks.serving.figure import Figure
from chaja.v1 import SearchRequest
from loadtest.analysis.summary import Summary, summarize
from loadtest.attack import attack
from loadtest.environment import describe_environment
from loadtest.errors import ExitCode
from loadtest.generator.vitals import memory_bytes
from loadtest.plan import Call, Plan
from loadtest.requests.method import find_method
from loadtest.requests.queries import Query
from loadtest.results.file import read_runs
from loadtest.schedule import constant
from loadtest.target import Target
from sample.server_process import REPOSITORY, running_server
from server.closed_pipe import until_closed_pipe

QUERY = "I lost my wallet"
PUNCTUAL_NS = 2_000_000
IN_FLIGHT = 256


def main() -> int:
    """Prints every figure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generator", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="length of each measurement in seconds")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--requests", type=int, default=500_000, help="requests of the memory measurement")
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", help="bundle of the search server")
    parser.add_argument("--only", choices=("speed", "memory", "opinion"), help="measure only this")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Stops the servers, as Ctrl-C does.
    for name, value in describe_environment().items():
        print(f"{name:14} {value}")
    with contextlib.suppress(KeyboardInterrupt):
        if options.only in (None, "speed"):
            measure_speed(options.seconds, options.repeats)
        if options.only in (None, "memory"):
            measure_memory(options.requests)
        if options.only in (None, "opinion"):
            compare_with_h2load(options.seconds, options.repeats, options.bundle)
        return 0
    return ExitCode.INTERRUPTED


def measure_speed(seconds: int, repeats: int) -> None:
    """Prints the rate and punctuality of one process, and the rate of two."""
    cores = sorted(os.sched_getaffinity(0))[-2:]
    print(f"\nTrivial server on core {cores[-1]}; one generator process on core {cores[0]}, two on both")
    one, two, punctual, late_p99 = [], [], [], []
    cpu_microseconds: list[float] = []
    per_cpu_second: list[float] = []
    with trivial_server(core=cores[-1]) as address:
        closed = make_plan(address, seconds=seconds, in_flight=IN_FLIGHT)
        for _ in range(repeats):
            with only_on(cores[0]):
                alone = run(closed)
                one.append(alone.achieved_rate)
                cpu_microseconds.append(alone.generator.cpu_seconds / alone.total.sent * 1e6)
                half = constant(one[-1] / 2, seconds=seconds, warm_up_seconds=1)
                opened = replace(closed, in_flight=0, schedule=half)
                late = lateness(opened)
            punctual.append(float((late <= PUNCTUAL_NS).mean()))
            late_p99.append(float(np.percentile(late, 99)) / 1e6)
            both = run(replace(closed, in_flight=2 * IN_FLIGHT, processes=2))
            two.append(both.achieved_rate)
            costs = [each.total.sent / each.generator.cpu_seconds for each in (alone, both)]
            per_cpu_second.append(costs[1] / costs[0])
    ratios = [pair / single for single, pair in zip(one, two, strict=True)]
    free = [2 * share for share in per_cpu_second]
    for figure in (
        Figure("one process, closed loop", one, "{:,.0f} requests/s", at_least=20_000),
        Figure("CPU of a request", cpu_microseconds, "{:.0f} µs"),
        Figure("sends within 2 ms of plan at half of the closed loop's rate", punctual, "{:.2%}", at_least=0.99),
        Figure("99th percentile of lateness", late_p99, "{:.2f} ms"),
        Figure("two processes, closed loop", two, "{:,.0f} requests/s"),
        Figure("two against one, sharing their cores with the server", ratios, "{:.2f} ×", at_least=1.7),
        Figure("two against one on separate cores, estimated from CPU time per request", free, "{:.2f} ×"),
    ):
        print(figure)


def measure_memory(requests: int) -> None:
    """Prints the generator's memory during a run of many requests."""
    print(f"\nMemory of the generator over {requests:,} requests, two processes, closed loop")
    with trivial_server() as address, results_file() as out:
        plan = make_plan(address, count=requests, in_flight=2 * IN_FLIGHT, processes=2)
        run_attack(plan, out)
        file_bytes = out.stat().st_size
        for read, blocks in read_runs([out]):
            for _ in blocks:
                pass
            memory = [each["memory_bytes"] for each in read.vitals if each["process"] == 0]
    for share in (0.1, 0.25, 0.5, 0.75, 1.0):
        print(f"  after {share:4.0%}: {memory[int((len(memory) - 1) * share)] / 2**20:6.1f} MiB per process")
    print(
        f"  the coordinator: {memory_bytes() / 2**20:.1f} MiB; results: {file_bytes / requests:.1f} bytes per request"
    )


def compare_with_h2load(seconds: int, repeats: int, bundle: Path) -> None:
    """Prints rate and median of both tools, run alternately against the same server."""
    if h2load_path() is None:
        print("\nh2load is missing: run make h2load", file=sys.stderr)
        sys.exit(1)
    print(f"\nCompared with h2load: alternately, {repeats} × {seconds} s, medians of the service time")
    with trivial_server(delay=0.005) as address:
        print_opinions("a server that answers after 5 ms", address, seconds, repeats)
    with trivial_server() as address:
        print_opinions("a server that answers at once", address, seconds, repeats)
    if not bundle.is_dir():
        print(f"  (without the search server: there is no bundle in {bundle})")
        return
    flags = ["--bundle", str(bundle), "--catalogue", str(REPOSITORY / "sample/catalogue.jsonl")]
    with running_server([*flags, "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]) as server:
        print_opinions("Chaja's server, a search", server.address, seconds, repeats)


def print_opinions(name: str, address: str, seconds: int, repeats: int) -> None:
    """Prints the figures of both tools for one server, in an open and in a closed loop."""
    plan = make_plan(address, seconds=seconds, in_flight=8)
    message, method = SearchRequest(query=QUERY).SerializeToString(), plan.calls[0].method.path
    schedule = constant(RATE_OF_ONE, seconds=seconds, warm_up_seconds=1)
    ways: list[tuple[str, Plan, dict[str, int]]] = [
        (f"{RATE_OF_ONE}/s", replace(plan, in_flight=0, schedule=schedule), {"rate": RATE_OF_ONE}),
        ("8 in flight", plan, {"in_flight": 8}),
    ]
    for way, each, flags in ways:
        theirs, ours = [], []
        for _ in range(repeats):
            theirs.append(ask_h2load(address, method, message, seconds=seconds, **flags))
            ours.append(run(each))
        rates = [median(opinion.rate for opinion in theirs), median(summary.achieved_rate for summary in ours)]
        p50s = [
            1e3 * median(opinion.p50_seconds for opinion in theirs),
            1e3 * median(summary.total.ok.service.percentile(50) for summary in ours),
        ]
        print(
            f"  {name}, {way}: {rates[0]:,.1f} and {rates[1]:,.1f}/s ({rates[1] / rates[0] - 1:+.1%}), "
            f"median {p50s[0]:.3f} and {p50s[1]:.3f} ms ({p50s[1] / p50s[0] - 1:+.1%})"
        )


def make_plan(address: str, **options: Any) -> Plan:
    """Returns a plan of one query, with a second of warm-up."""
    target = Target(address=address)
    call = Call(method=asyncio.run(find_method("Search", target=target)))
    queries = (Query("0", {"query": QUERY}),)
    return Plan(target=target, calls=(call,), queries=queries, warm_up_seconds=1, **options)


def run(plan: Plan) -> Summary:
    """Runs a plan; returns its summary."""
    with results_file() as out:
        run_attack(plan, out)
        return summarize([out])


def run_attack(plan: Plan, out: Path) -> None:
    """Runs a plan. Ctrl-C and SIGTERM end the benchmark, not only this attack."""
    if attack(plan, out).interrupted:
        raise KeyboardInterrupt


def lateness(plan: Plan) -> NDArray[np.int64]:
    """Runs a plan; returns the lateness of each send in nanoseconds."""
    with results_file() as out:
        run_attack(plan, out)
        records = np.concatenate([block for _, blocks in read_runs([out]) for block in blocks])
    records = records[records["planned_ns"] >= 0]
    late: NDArray[np.int64] = records["sent_ns"] - records["planned_ns"]
    return late


@contextlib.contextmanager
def results_file() -> Iterator[Path]:
    """Yields the path of a temporary results file."""
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch) / "results.bin"


@contextlib.contextmanager
def only_on(core: int) -> Iterator[None]:
    """Restricts this process and its children to one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
