"""Latencies when the server is idle, below its peak, and overloaded."""

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peak, Peaks
from benchmarks.serving.setting import NO_CACHE, PATIENT, Setting
from benchmarks.serving.stretch import Stretch
from loadtest.codes import OK, REFUSED
from server.settings import Settings

LOAD_SHARE = 0.7
OVERLOAD = 3
OVERLOAD_CONNECTIONS = 2
SLACK_SECONDS = 0.05
LONGEST_WAIT_SECONDS = Settings.longest_wait_seconds
"""The server's default."""

IDLE_RATE = 20


def measure_idle(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the latency of one query at a time, and the encoder's time for it."""
    del peaks
    alone, closed, timed = [], [], []
    with setting.server(*NO_CACHE) as server:
        for _ in range(setting.repeats):
            alone.append(1e3 * setting.bare(threads=1, batch=1).batch_seconds)
            closed.append(setting.closed(server, in_flight=1).latency_ms(50))
            timed.append(setting.opened(server, IDLE_RATE, poisson=False).latency_ms(50))
    beyond = [whole - 1.5 * part for whole, part in zip(closed, alone, strict=True)]
    yield Figure("encoder alone, one text at a time, p50", alone, "{:.2f} ms")
    yield Figure("one search at a time, p50", closed, "{:.2f} ms")
    yield Figure("one search beyond 1.5 × the encoder", beyond, "{:.2f} ms", at_most=2)
    yield Figure(f"{IDLE_RATE} searches a second, p50", timed, "{:.2f} ms", note="on cores that sleep between searches")


def measure_load(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the tail latencies below the peak, from the planned times of a Poisson process."""
    rate = LOAD_SHARE * peaks.peak.rate
    with setting.server(*NO_CACHE) as server:
        stretches = [setting.opened(server, rate, seed=seed) for seed in range(setting.repeats)]
    p50, p99 = ([each.latency_ms(percent) for each in stretches] for percent in (50, 99))
    yield from _offered(stretches, f"{LOAD_SHARE:.0%} of the peak, Poisson")
    # Without this, a server that refuses slow searches would look fast.
    answered = [each.summary.total.ok.count / each.summary.planned for each in stretches]
    yield Figure("share answered OK", answered, "{:.4f}", at_least=0.99)
    yield Figure("p50", p50, "{:.2f} ms")
    yield Figure("p99", p99, "{:.2f} ms")
    shape = [tail / middle for tail, middle in zip(p99, p50, strict=True)]
    yield Figure("p99 by p50", shape, "{:.2f} ×", at_most=4)


def measure_overload(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields outcomes of calls far beyond the peak: admitted calls must be answered in time, others refused at once.

    The server has one core, and the generator the others, if there are several. Otherwise the generator takes the more
    CPU from the server, the faster the encoder is: it sends three calls for each that the server can answer. Times
    count from the send.
    """
    apart = replace(setting, apart=True)
    with apart.server(*NO_CACHE, *PATIENT) as server:
        peak = Peak(len(apart.cores), (), tuple(apart.closed(server) for _ in range(setting.repeats)))
    stretches = _overloaded(apart, peak)
    shared = _overloaded(setting, peaks.peak)
    within = LONGEST_WAIT_SECONDS + SLACK_SECONDS
    yield Figure("peak", [each.rate for each in peak.stretches], "{:,.0f}/s")
    yield from _offered(stretches, f"{OVERLOAD} × the peak, Poisson, over {OVERLOAD_CONNECTIONS} connections")
    good = [each.goodput(within) for each in stretches]
    accepted = [1e3 * each.service_p99_seconds(OK) for each in stretches]
    refused = [1e3 * each.service_p99_seconds(REFUSED) for each in stretches]
    others = [sum(outcome.count for outcome in each.summary.total.errors) for each in stretches]
    costs = [1e6 * _cpu_per_refusal(each, peak.cpu_per_answer) for each in stretches]
    yield Figure(f"answered OK within {within * 1e3:.0f} ms", good, "{:,.0f}/s")
    yield Figure("answered in time, against the peak", [each / peak.rate for each in good], "{:.3f} ×", at_least=0.55)
    ratios = [each.goodput(within) / peaks.peak.rate for each in shared]
    yield Figure("… on cores that the generator shares", ratios, "{:.3f} ×", note="no target")
    yield Figure("accepted calls, p99", accepted, "{:.0f} ms", at_most=1e3 * within)
    planned = [each.latency_ms(99) for each in stretches]
    yield Figure("accepted calls, p99 from the planned time", planned, "{:.0f} ms")
    yield Figure("refused", [each.refused_rate for each in stretches], "{:,.0f}/s")
    yield Figure("refused calls, p99", refused, "{:.2f} ms", at_most=100)
    yield Figure("calls that ended otherwise", others, "{:,.0f}", at_most=0)
    growth = [each.memory_growth for each in stretches]
    yield Figure("memory at the end, against that after a third of the time", growth, "{:.3f} ×", at_most=1.1)
    note = "CPU of the server beyond its accepted calls, if each of those costs as much as at the peak"
    yield Figure("CPU of a refusal", costs, "{:.0f} µs", note=note)


def _overloaded(setting: Setting, peak: Peak) -> list[Stretch]:
    with setting.server(*NO_CACHE) as server:
        return [
            setting.opened(server, OVERLOAD * peak.rate, connections=OVERLOAD_CONNECTIONS, seed=seed)
            for seed in range(setting.repeats)
        ]


def _offered(stretches: list[Stretch], note: str) -> Iterator[Figure]:
    yield Figure("offered", [each.summary.offered_rate for each in stretches], "{:,.0f}/s", note=note)
    yield Figure("sent", [each.summary.sent_rate for each in stretches], "{:,.0f}/s")
    yield Figure("answered OK", [each.rate for each in stretches], "{:,.0f}/s")
    yield Figure("other processes took", [each.other_cores for each in stretches], "{:.2f} cores")
    reasons = dict.fromkeys(reason for each in stretches for reason in each.summary.generator.reasons)
    saturated = f"the generator was saturated: {'; '.join(reasons)}" if reasons else ""
    late = [1e3 * each.late_p99_seconds for each in stretches]
    yield Figure("sent late, p99", late, "{:.2f} ms", note=saturated)


def _cpu_per_refusal(stretch: Stretch, cpu_per_answer: float) -> float:
    """Returns CPU seconds; NaN if nothing was refused."""
    rate = stretch.refused_rate
    return (stretch.server_cores - stretch.rate * cpu_per_answer) / rate if rate else float("nan")
