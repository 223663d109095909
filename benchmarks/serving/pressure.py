"""How the server answers when it has less, about as much, and much more to do than it can."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peaks
from benchmarks.serving.setting import NO_CACHE, Setting
from benchmarks.serving.stretch import Stretch
from loadtest.codes import OK, REFUSED
from server.settings import Settings

LOAD_SHARE = 0.7
OVERLOAD = 3
OVERLOAD_CONNECTIONS = 2
SLACK_SECONDS = 0.05
LONGEST_WAIT_SECONDS = Settings.longest_wait_seconds
"""What an operator gets without asking."""

IDLE_RATE = 20


def measure_idle(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the latency of one query at a time beside the encoder's own time for it."""
    del peaks
    alone, closed, timed = [], [], []
    with setting.server(*NO_CACHE) as server:
        for _ in range(setting.repeats):
            alone.append(1e3 * setting.bare(threads=1, batch=1).batch_seconds)
            closed.append(1e3 * setting.closed(server, in_flight=1).summary.total.ok.latency.percentile(50))
            stretch = setting.opened(server, IDLE_RATE, poisson=False)
            timed.append(1e3 * stretch.summary.total.ok.latency.percentile(50))
    yield Figure(name="encoder alone, one text at a time, p50", values=tuple(alone), written="{:.2f} ms")
    yield Figure(name="one search at a time, p50", values=tuple(closed), written="{:.2f} ms")
    yield Figure(
        name="that beyond 1.5 × the encoder",
        values=tuple(whole - 1.5 * part for whole, part in zip(closed, alone, strict=True)),
        written="{:.2f} ms",
        at_most=1.5,
    )
    yield Figure(
        name=f"{IDLE_RATE} searches a second, p50", values=tuple(timed), written="{:.2f} ms", note="on cores that sleep"
    )


def measure_load(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the tail of the latencies at most of the peak, from the planned times of a Poisson process."""
    rate = LOAD_SHARE * peaks.peak.rate
    stretches = []
    with setting.server(*NO_CACHE) as server:
        for seed in range(setting.repeats):
            stretches.append(setting.opened(server, rate, seed=seed))
    latencies = [each.summary.total.ok.latency for each in stretches]
    p50, p99 = ([1e3 * each.percentile(percent) for each in latencies] for percent in (50, 99))
    yield from _offered(stretches, f"{LOAD_SHARE:.0%} of the peak, Poisson")
    # Without this, a server that refuses what takes long would look even.
    answered = tuple(each.summary.total.ok.count / each.summary.planned for each in stretches)
    yield Figure(name="share answered OK", values=answered, written="{:.4f}", at_least=0.99)
    yield Figure(name="p50", values=tuple(p50), written="{:.2f} ms")
    yield Figure(name="p99", values=tuple(p99), written="{:.2f} ms")
    shape = tuple(tail / middle for tail, middle in zip(p99, p50, strict=True))
    yield Figure(name="p99 by p50", values=shape, written="{:.2f} ×", at_most=4)


def measure_overload(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields what becomes of much more than the peak: what is let in is answered in time, the rest refused at once.

    Times are those from the sending: a generator that shares its cores with a busy server is late, and says by
    how much.
    """
    peak = peaks.peak
    stretches = []
    with setting.server(*NO_CACHE) as server:
        for seed in range(setting.repeats):
            stretches.append(setting.opened(server, OVERLOAD * peak.rate, connections=OVERLOAD_CONNECTIONS, seed=seed))
    within = LONGEST_WAIT_SECONDS + SLACK_SECONDS
    yield from _offered(stretches, f"{OVERLOAD} × the peak, Poisson, over {OVERLOAD_CONNECTIONS} connections")
    good = tuple(each.goodput(within) for each in stretches)
    yield Figure(name=f"answered OK within {within * 1e3:.0f} ms", values=good, written="{:,.0f}/s")
    share = tuple(rate / peak.rate for rate in good)
    yield Figure(name="that against the peak", values=share, written="{:.3f} ×", at_least=0.75)
    accepted = tuple(1e3 * each.service_p99_seconds(OK) for each in stretches)
    yield Figure(name="accepted calls, p99", values=accepted, written="{:.0f} ms", at_most=1e3 * within)
    planned = tuple(1e3 * each.summary.total.ok.latency.percentile(99) for each in stretches)
    yield Figure(name="accepted calls, p99 from the planned time", values=planned, written="{:.0f} ms")
    yield Figure(name="refused", values=tuple(each.refused_rate for each in stretches), written="{:,.0f}/s")
    refused = tuple(1e3 * each.service_p99_seconds(REFUSED) for each in stretches)
    yield Figure(name="refused calls, p99", values=refused, written="{:.2f} ms", at_most=20)
    others = tuple(float(sum(outcome.count for outcome in each.summary.total.errors)) for each in stretches)
    yield Figure(name="calls that ended otherwise", values=others, written="{:,.0f}", at_most=0)
    growth = tuple(_growth(each) for each in stretches)
    yield Figure(name="memory at the end by that after a third", values=growth, written="{:.3f} ×", at_most=1.1)
    costs = tuple(1e6 * _cpu_per_refusal(each, peak.cpu_per_answer) for each in stretches)
    yield Figure(
        name="CPU of a refusal",
        values=costs,
        written="{:.0f} µs",
        note="what the server took beyond its accepted calls, each as dear as at the peak",
    )


def _offered(stretches: list[Stretch], what: str) -> Iterator[Figure]:
    yield Figure(
        name="offered", values=tuple(each.summary.offered_rate for each in stretches), written="{:,.0f}/s", note=what
    )
    yield Figure(name="sent", values=tuple(each.summary.sent_rate for each in stretches), written="{:,.0f}/s")
    yield Figure(name="answered OK", values=tuple(each.rate for each in stretches), written="{:,.0f}/s")
    others = tuple(each.other_cores for each in stretches)
    yield Figure(name="others of the machine took", values=others, written="{:.2f} cores")
    late = tuple(1e3 * each.late_p99_seconds for each in stretches)
    reasons = dict.fromkeys(reason for each in stretches for reason in each.summary.generator.reasons)
    note = f"the generator was saturated: {'; '.join(reasons)}" if reasons else ""
    yield Figure(name="sent late, p99", values=late, written="{:.2f} ms", note=note)


def _growth(stretch: Stretch) -> float:
    """Returns the memory at the end by that after a third of the time."""
    return stretch.uses[-1].memory_bytes / stretch.uses[len(stretch.uses) // 3].memory_bytes


def _cpu_per_refusal(stretch: Stretch, cpu_per_answer: float) -> float:
    """Returns CPU seconds; NaN if nothing was refused."""
    rate = stretch.refused_rate
    return (stretch.server_cores - stretch.rate * cpu_per_answer) / rate if rate else float("nan")
