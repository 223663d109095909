"""`make soak`: makes every kind of call at once for minutes and checks that the server bears it.

Searches, batches, streams and encodings run together with invalid requests, cancelled calls, too short deadlines,
dropped connections, and a reload every half minute. After a quarter of the time the calls of
`benchmarks.serving.harmful` join them: answers, documents and filters as large as is allowed, floods of connections,
and wrong and removed tokens. No call may end unexpectedly, other callers must not notice, the log may contain no error
and must not repeat a line, and memory, descriptors and threads must not grow.
"""

import argparse
import asyncio
import contextlib
import math
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.serving import harmful
from benchmarks.serving.callers import Callers
from benchmarks.serving.figure import Figure
from benchmarks.serving.process import Use, use_of
from benchmarks.serving.setting import QUERIES, Setting
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY, ServerProcess
from server.closed_pipe import until_closed_pipe

CALLERS_PER_KIND = 1
QUIET_SHARE = 0.25
"""Share of the time before the harmful calls begin."""

TOKENS = ("reader", "writer", harmful.LEAVER)

READING_SECONDS = 0.5
"""Interval between readings of the process's resources. Idle connections are closed for a second in eleven."""

FAULTS = (" ERROR ", " CRITICAL ", "Traceback (most recent call last)")

LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (.*)")
VARIABLE = re.compile(r"[0-9a-f]{8,}|\d\d+")
REPEAT_SECONDS = 10.0


class Run(NamedTuple):
    """The calls and the server's resources of a run, and when its harmful calls began, by `time.monotonic()`."""

    callers: Callers
    uses: list[Use]
    harmful_from: float


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
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tokens = folder / "tokens"
        tokens.write_text("".join(f"admin {name} {secrets.token_hex(16)}\n" for name in TOKENS), encoding="utf-8")
        server = stack.enter_context(setting.server("--data", str(folder / "data"), "--tokens", str(tokens)))
        stack.enter_context(setting.on(setting.generator_cores))
        harming = stack.enter_context(_harmful(server, tokens))
        run = asyncio.run(_soak(setting, server, harming, tokens, seconds=seconds, reload_seconds=reload_seconds))
        faults = [line for line in server.lines if any(fault in line for fault in FAULTS)]
        repeats = repeated_lines(server.lines)
        code = server.stop()
        harming.kill()
        harmed = (harming.communicate()[1] or "").splitlines()
    for line in [*faults[:5], *repeats[:5], *harmed[:5]]:
        print(line, file=sys.stderr)
    callers = run.callers
    made = "; ".join(f"{name} {count:,}" for name, count in sorted(callers.made.items()))
    unexpected = "; ".join(f"{count} × {ended}" for ended, count in callers.unexpected.most_common(5))
    alone = [each for began, each in callers.searches if began < run.harmful_from]
    beside = [each for began, each in callers.searches if began >= run.harmful_from]
    return [
        Figure("calls", [callers.made.total()], "{:,.0f}", at_least=1, note=made),
        Figure("unexpected", [callers.unexpected.total()], "{:.0f}", at_most=0, note=unexpected),
        Figure("harmful calls with a wrong end", [len(harmed)], "{:.0f}", at_most=0),
        Figure("faults in the log", [len(faults)], "{:.0f}", at_most=0),
        Figure("log lines repeated within 10 s", [len(repeats)], "{:.0f}", at_most=0),
        Figure("exit code", [code], "{:.0f}", at_most=0),
        Figure("p99 of searches without harmful calls, ms", [_p99_ms(alone)]),
        Figure("p99 of searches beside harmful calls, ms", [_p99_ms(beside)], at_most=100),
        _peak(run),
        _growth("memory, MB", [use.memory_bytes / 1e6 for use in run.uses], at_most=1.2),
        _growth("descriptors", [use.descriptors for use in run.uses], at_most=1.25),
        _growth("threads", [use.threads for use in run.uses], at_most=1.25),
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


def _peak(run: Run) -> Figure:
    """Returns the most memory beside harmful calls divided by the most before them; both include reloads."""
    before = max(use.memory_bytes for use in run.uses if use.seconds < run.harmful_from)
    beside = max(use.memory_bytes for use in run.uses if use.seconds >= run.harmful_from)
    note = f"from {before / 1e6:,.0f} to {beside / 1e6:,.0f} MB"
    return Figure("most memory beside harmful calls", [beside / before], "{:.3f} ×", at_most=1.2, note=note)


def _p99_ms(seconds: Sequence[float]) -> float:
    return 1000 * float(np.percentile(seconds, 99)) if seconds else math.nan


def repeated_lines(lines: Iterable[str]) -> list[str]:
    """Returns the lines of a log that repeat one of the 10 seconds before, whatever numbers and ids are in them."""
    repeats = []
    logged_at: dict[str, float] = {}
    for line in lines:
        if (match := LINE.match(line)) is None:
            continue  # A line of a traceback, which is a fault.
        at = datetime.fromisoformat(match[1].replace(",", ".")).timestamp()
        text = VARIABLE.sub("#", match[2])
        if at - logged_at.get(text, -math.inf) < REPEAT_SECONDS:
            repeats.append(line)
        logged_at[text] = at
    return repeats


@contextlib.contextmanager
def _harmful(server: ServerProcess, tokens: Path) -> Iterator[subprocess.Popen[str]]:
    """Starts the process of the harmful calls, which begins with a line of input."""
    addresses = [server.address, server.metrics_url.split("/")[2]]
    command = [sys.executable, "-m", harmful.__name__, *addresses, str(tokens)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "prepared\n":
                raise RuntimeError((process.stderr and process.stderr.read()) or "the harmful calls did not start")
            yield process
        finally:
            process.kill()


async def _soak(
    setting: Setting,
    server: ServerProcess,
    harming: subprocess.Popen[str],
    tokens: Path,
    *,
    seconds: float,
    reload_seconds: float,
) -> Run:
    token = next(each.split()[2] for each in tokens.read_text(encoding="utf-8").splitlines() if "reader" in each)
    callers = Callers(server.address, [query.fields["query"] for query in setting.queries], token=token)
    uses, until = list[Use](), time.monotonic() + seconds
    harmful_from = until - (1 - QUIET_SHARE) * seconds

    async def watch() -> None:
        while time.monotonic() < until:
            uses.append(use_of(server.process.pid))
            await asyncio.sleep(READING_SECONDS)

    async def repeat(kind: str) -> None:
        while time.monotonic() < until:
            await callers.call(kind)
            await asyncio.sleep(reload_seconds if kind == "reload" else 0)

    async def harm() -> None:
        await asyncio.sleep(harmful_from - time.monotonic())
        assert harming.stdin is not None
        harming.stdin.write("\n")
        harming.stdin.flush()

    kinds = [kind for kind in callers.kinds for _ in range(1 if kind == "reload" else CALLERS_PER_KIND)]
    await asyncio.gather(watch(), harm(), *map(repeat, kinds))
    return Run(callers, uses, harmful_from)


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
