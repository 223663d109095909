"""`make soak`: makes every kind of call at once for minutes and checks the server for leaks.

Searches, batches, streams and encodings run together with invalid requests, cancelled calls, too short deadlines,
dropped connections, and a reload every half minute. No call may end unexpectedly, the log may contain no error, and
memory, descriptors and threads must not grow.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.serving.callers import Callers
from benchmarks.serving.figure import Figure
from benchmarks.serving.process import Use, use_of
from benchmarks.serving.setting import QUERIES, Setting
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY, ServerProcess
from server.closed_pipe import until_closed_pipe

CALLERS_PER_KIND = 3
READINGS = 100
"""Readings of the process's resources."""

FAULTS = (" ERROR ", " CRITICAL ", "Traceback (most recent call last)")


def main() -> int:
    """Runs the soak; returns 1 if a figure misses its target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.soak", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR")
    parser.add_argument("--queries", type=Path, default=QUERIES, metavar="FILE", help="queries file, as for loadtest")
    parser.add_argument("--minutes", type=float, default=5, metavar="M", help="minutes (default: 5)")
    parser.add_argument("--reload-seconds", type=float, default=30, metavar="S", help="reload interval (default: 30)")
    options = parser.parse_args()
    for name, value in describe_environment(" ".join(sys.argv)).items():
        print(f"{name:14} {value}")
    setting = Setting(bundle=options.bundle.resolve(), queries_file=options.queries.resolve())
    figures = soak(setting, seconds=60 * options.minutes, reload_seconds=options.reload_seconds)
    print()
    for figure in figures:
        print(figure)
    return 1 if any(figure.missed for figure in figures) else 0


def soak(setting: Setting, *, seconds: float, reload_seconds: float) -> list[Figure]:
    """Runs all calls against a server; returns the figures."""
    with setting.server() as server:
        callers, uses = asyncio.run(_soak(setting, server, seconds=seconds, reload_seconds=reload_seconds))
        faults = [line for line in server.lines if any(fault in line for fault in FAULTS)]
        code = server.stop()
    for line in faults[:5]:
        print(line, file=sys.stderr)
    made = "; ".join(f"{name} {count:,}" for name, count in sorted(callers.made.items()))
    unexpected = "; ".join(f"{count} × {ended}" for ended, count in callers.unexpected.most_common(5))
    return [
        Figure("calls", [callers.made.total()], "{:,.0f}", at_least=1, note=made),
        Figure("unexpected", [callers.unexpected.total()], "{:.0f}", at_most=0, note=unexpected),
        Figure("faults in the log", [len(faults)], "{:.0f}", at_most=0),
        Figure("exit code", [code], "{:.0f}", at_most=0),
        _growth("memory, MB", [use.memory_bytes / 1e6 for use in uses], at_most=1.1),
        _growth("descriptors", [use.descriptors for use in uses], at_most=1.25),
        _growth("threads", [use.threads for use in uses], at_most=1.25),
    ]


def _growth(name: str, values: Sequence[float], *, at_most: float) -> Figure:
    """Returns the minimum of the last fifth divided by that of the second fifth.

    In the first fifth, pools fill and caches grow. Minima exclude the time when two models are in memory during a
    reload; a leak raises the minimum.
    """
    fifth = max(1, len(values) // 5)
    early, late = min(values[fifth : 2 * fifth] or values[:1]), min(values[-fifth:])
    note = f"from {early:,.0f} to {late:,.0f}: the minima of the second and of the last fifth"
    return Figure(name, [late / early], "{:.3f} ×", at_most=at_most, note=note)


async def _soak(
    setting: Setting, server: ServerProcess, *, seconds: float, reload_seconds: float
) -> tuple[Callers, list[Use]]:
    callers = Callers(server.address, [query.fields["query"] for query in setting.queries])
    uses, until = list[Use](), time.monotonic() + seconds

    async def watch() -> None:
        while time.monotonic() < until:
            uses.append(use_of(server.process.pid))
            await asyncio.sleep(seconds / READINGS)

    async def repeat(kind: str) -> None:
        while time.monotonic() < until:
            await callers.call(kind)
            await asyncio.sleep(reload_seconds if kind == "reload" else 0)

    kinds = [kind for kind in callers.kinds for _ in range(1 if kind == "reload" else CALLERS_PER_KIND)]
    await asyncio.gather(watch(), *map(repeat, kinds))
    return callers, uses


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
