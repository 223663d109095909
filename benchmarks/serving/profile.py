"""Where each microsecond goes: by stage for one search alone, by thread at the peak."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peaks
from benchmarks.serving.pressure import IDLE_RATE
from benchmarks.serving.setting import NO_CACHE, Setting
from benchmarks.serving.stretch import Stretch
from loadtest.stages import STAGES

MICROSECONDS = "{:,.0f} µs"


def measure_profile(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the stages' medians at an idle rate, and the CPU of each kind of thread for a search at the peak."""
    with setting.server(*NO_CACHE) as server:
        stretches = [setting.opened(server, IDLE_RATE, poisson=False) for _ in range(setting.repeats)]
    totals = [each.summary.total for each in stretches]
    for stage in STAGES:
        values = tuple(1e6 * total.stages[stage].percentile(50) for total in totals)
        yield Figure(name=f"{stage}, p50 at {IDLE_RATE}/s", values=values, written=MICROSECONDS)
    beyond = tuple(1e6 * total.beyond_server.percentile(50) for total in totals)
    yield Figure(name="beyond the stages, p50", values=beyond, written=MICROSECONDS, note="gRPC, loopback, generator")
    peak = peaks.peak
    kinds = [_by_kind(each, workers=peak.cores) for each in peak.stretches]
    for kind in kinds[0]:
        values = tuple(1e6 * of[kind] / each.rate for of, each in zip(kinds, peak.stretches, strict=True))
        yield Figure(name=f"CPU of {kind} for a search at the peak", values=values, written=MICROSECONDS)
    encoder = tuple(1e6 * each.cpu_seconds for each in peak.bares)
    yield Figure(name="CPU of the encoder alone for a text", values=encoder, written=MICROSECONDS)


def _by_kind(stretch: Stretch, *, workers: int) -> dict[str, float]:
    """Returns the cores that each kind of thread kept busy.

    Python 3.11 does not tell the system the names of its threads. The main one is the event loop; of the others, the
    workers are those that take most, for they encode.
    """
    cores = stretch.thread_cores
    main = min(cores)  # The process has the lowest id of its threads: the others came later.
    others = sorted((taken for thread, taken in cores.items() if thread != main), reverse=True)
    return {
        "the event loop": cores[main],
        f"the {workers} workers": sum(others[:workers]),
        "all other threads": sum(others[workers:]),
    }
