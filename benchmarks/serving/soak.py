"""`make soak`: one server under everything at once for minutes, and whether it is afterwards as it was before.

Searches, batches, streams and encodings beside wrong requests, cancelled calls, deadlines that cannot be kept,
connections that are dropped, and a reload every half minute. At the end there must have been no error but those that
were asked for, no fault in the log, and as much memory, as many descriptors and threads as near the beginning.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.serving.callers import Outcomes, callers_of
from benchmarks.serving.figure import Figure
from benchmarks.serving.process import Use, use_of
from benchmarks.serving.setting import QUERIES, Setting
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY, ServerProcess

LOOKS = 100
"""So often is the process looked at."""

FAULTS = (" ERROR ", " CRITICAL ", "Traceback (most recent call last)")


def main() -> int:
    """Runs it; returns 1 if something was not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.soak", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR")
    parser.add_argument("--queries", type=Path, default=QUERIES, metavar="FILE", help="as loadtest takes them")
    parser.add_argument("--minutes", type=float, default=5, metavar="M", help="default: 5")
    parser.add_argument("--reload-seconds", type=float, default=30, metavar="S", help="between reloads (default: 30)")
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
    """Soaks a server; returns what came of it."""
    with setting.server() as server:
        outcomes, uses = asyncio.run(_soak(setting, server, seconds=seconds, reload_seconds=reload_seconds))
        faults = [line for line in server.lines if any(fault in line for fault in FAULTS)]
        code = server.stop()
    for line in faults[:5]:
        print(line, file=sys.stderr)
    made = "; ".join(f"{name} {count:,}" for name, count in sorted(outcomes.made.items()))
    unexpected = "; ".join(f"{count} × {what}" for what, count in outcomes.unexpected.most_common(5))
    figures = [
        Figure(name="calls", values=(outcomes.made.total(),), written="{:,.0f}", at_least=1, note=made),
        Figure(name="unexpected", values=(outcomes.unexpected.total(),), written="{:.0f}", at_most=0, note=unexpected),
        Figure(name="faults in the log", values=(len(faults),), written="{:.0f}", at_most=0),
        Figure(name="exit code", values=(code,), written="{:.0f}", at_most=0),
    ]
    for name, early, late, more in flatness(uses):
        note = f"from {early:,.0f} to {late:,.0f}: the least of the second and of the last fifth"
        figures.append(Figure(name=name, values=(late / early,), written="{:.3f} ×", at_most=more, note=note))
    return figures


def flatness(uses: Sequence[Use]) -> list[tuple[str, float, float, float]]:
    """Returns of memory, descriptors and threads: name, early and late floor, and how many times that late may be.

    The first fifth does not count: then pools fill and caches grow. It is the least of a fifth that counts: two models
    are there while one is loaded, but what leaks never comes back.
    """
    fifth = max(1, len(uses) // 5)
    early, late = uses[fifth : 2 * fifth] or uses[:1], uses[-fifth:]
    found = []
    for name, values, slack in (
        ("memory, MB", [[each.memory_bytes / 1e6 for each in part] for part in (early, late)], 0.1),
        ("descriptors", [[float(each.descriptors) for each in part] for part in (early, late)], 0.25),
        ("threads", [[float(len(each.threads)) for each in part] for part in (early, late)], 0.25),
    ):
        before, after = map(min, values)
        found.append((name, before, after, 1 + slack))
    return found


async def _soak(
    setting: Setting, server: ServerProcess, *, seconds: float, reload_seconds: float
) -> tuple[Outcomes, list[Use]]:
    outcomes, uses, until = Outcomes(), list[Use](), time.monotonic() + seconds
    texts = [query.text for query in setting.queries]
    callers = callers_of(server.address, texts, outcomes, reload_seconds=reload_seconds)

    async def look() -> None:
        while time.monotonic() < until:
            uses.append(use_of(server.process.pid))
            await asyncio.sleep(seconds / LOOKS)

    async def repeat(number: int) -> None:
        while time.monotonic() < until:
            await callers[number].call()

    await asyncio.gather(look(), *(repeat(number) for number in range(len(callers))))
    return outcomes, uses


if __name__ == "__main__":
    sys.exit(main())
