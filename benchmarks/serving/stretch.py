"""One attack: the load tester's results, and the server's use of resources during it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.generator.__main__ import results_file
from benchmarks.serving.process import Use, use_of
from loadtest.analysis.summary import Summary, summarize
from loadtest.attack import attack
from loadtest.codes import OK, REFUSED
from loadtest.plan import Plan
from loadtest.progress import Progress
from loadtest.results.file import Records, read_runs


@dataclass(frozen=True)
class Stretch:
    """The measured part of an attack.

    Attributes:
        summary: The load tester's summary.
        records: The requests of the measured part.
        uses: Readings of the server's resources, the first one near the start.
        cpu_per_call: CPU seconds of the server for each call of the whole attack, from its warm-up to its last answer.
            It is exact, even on a busy machine.
    """

    summary: Summary
    records: Records
    uses: tuple[Use, ...]
    cpu_per_call: float

    @property
    def rate(self) -> float:
        """Answers with OK a second."""
        return self.summary.achieved_rate

    @property
    def seconds(self) -> float:
        """Time between the first and the last reading of the server."""
        return self.uses[-1].seconds - self.uses[0].seconds

    @property
    def server_cores(self) -> float:
        """Cores that the server kept busy."""
        return (self.uses[-1].cpu_seconds - self.uses[0].cpu_seconds) / self.seconds

    @property
    def generator_cores(self) -> float:
        """Cores that the load tester kept busy: its worker processes and this process."""
        workers = self.summary.generator
        own = (self.uses[-1].own_seconds - self.uses[0].own_seconds) / self.seconds
        return workers.cpu_seconds / workers.watched_seconds + own

    @property
    def other_cores(self) -> float:
        """Cores that other processes kept busy: a large value makes ratios unreliable."""
        machine = (self.uses[-1].machine_seconds - self.uses[0].machine_seconds) / self.seconds
        return max(0.0, machine - self.server_cores - self.generator_cores)

    @property
    def cpu_per_answer(self) -> float:
        """CPU seconds of the server for each answer; all answers must be OK."""
        return self.server_cores / self.rate

    @property
    def memory_growth(self) -> float:
        """The server's memory at the end, divided by that after a third of the time."""
        return self.uses[-1].memory_bytes / self.uses[len(self.uses) // 3].memory_bytes

    @cached_property
    def late_p99_seconds(self) -> float:
        """99th percentile of the lateness of sends."""
        return _percentile(self.records["sent_ns"] - self.records["planned_ns"], 99)

    def latency_ms(self, percent: float) -> float:
        """Returns a percentile of the time from the planned time to an answer with OK."""
        return 1e3 * self.summary.total.ok.latency.percentile(percent)

    def service_p99_seconds(self, code: int) -> float:
        """Returns the 99th percentile of the time from sending to an outcome with this code; NaN without one."""
        records = self.records[self.records["code"] == code]
        return _percentile(records["done_ns"] - records["sent_ns"], 99)

    def goodput(self, within_seconds: float) -> float:
        """Returns the answers with OK a second within a time from their send."""
        took = self.records["done_ns"] - self.records["sent_ns"]
        good = (self.records["code"] == OK) & (took <= within_seconds * 1e9)
        return int(np.count_nonzero(good)) / self.summary.seconds

    @property
    def refused_rate(self) -> float:
        """Refused calls a second."""
        return int(np.count_nonzero(self.records["code"] == REFUSED)) / self.summary.seconds


def drive(plan: Plan, server_pid: int) -> Stretch:
    """Runs a plan against a server on this machine and watches its process."""
    uses: list[Use] = []

    def watch(progress: Progress) -> None:
        if 0 <= progress.seconds <= plan.seconds:
            uses.append(use_of(server_pid))

    before = use_of(server_pid).cpu_seconds
    with results_file() as out:
        attack(plan, out, observer=watch)
        summary = summarize([out])
        records = np.concatenate([block for _, blocks in read_runs([out]) for block in blocks])
    assert len(uses) > 1, "the measured part is long enough for two readings"
    cpu_per_call = (use_of(server_pid).cpu_seconds - before) / len(records)
    return Stretch(summary, records[records["planned_ns"] >= 0], tuple(uses), cpu_per_call)


def _percentile(nanoseconds: NDArray[Any], percent: float) -> float:
    return float(np.percentile(nanoseconds, percent)) / 1e9 if len(nanoseconds) else float("nan")
