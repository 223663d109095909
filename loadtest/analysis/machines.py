"""The generator machines of a run with `--workers`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtest.analysis.saturation import Generator, judge
from loadtest.results.file import Records, Run
from loadtest.results.record import MOST_PROCESSES


class ProcessCounts:
    """Requests sent, and sent late, by each process."""

    def __init__(self, *, late_seconds: float) -> None:
        self._late_ns = late_seconds * 1e9
        self.sent = np.zeros(MOST_PROCESSES, dtype=np.int64)
        self.late = np.zeros(MOST_PROCESSES, dtype=np.int64)

    def add(self, records: Records) -> None:
        """Counts records."""
        late = records["sent_ns"] - records["planned_ns"] > self._late_ns
        self.sent += np.bincount(records["process"], minlength=MOST_PROCESSES)
        self.late += np.bincount(records["process"][late], minlength=MOST_PROCESSES)


@dataclass(frozen=True)
class Machine:
    """A generator machine in a run.

    Attributes:
        address: The worker's address.
        environment: Its machine, CPU and versions.
        sent: Requests that it sent.
        generator: The health of its processes.
        late_seconds: A send counts as late when it is later than this.
        clock_bound_seconds: The start time reached it with at most this error.
        drift_seconds: By how much its clock moved against the coordinator's during the run; `None` if it is not known.
        drift_bound_seconds: The largest possible error of the drift.
    """

    address: str
    environment: dict[str, Any]
    sent: int
    generator: Generator
    late_seconds: float
    clock_bound_seconds: float
    drift_seconds: float | None
    drift_bound_seconds: float

    @property
    def apart_seconds(self) -> float:
        """The largest possible difference between its time and the coordinator's."""
        return self.clock_bound_seconds + abs(self.drift_seconds or 0.0) + self.drift_bound_seconds

    @property
    def is_apart(self) -> bool:
        """Whether `apart_seconds` is more than the time after which a send counts as late."""
        return self.apart_seconds > self.late_seconds


def machines_of(run: Run, counts: ProcessCounts, *, between_seconds: tuple[float, float]) -> list[Machine]:
    """Returns the machines of a run whose records were read; empty for a run on the coordinator's machine."""
    drifts = {clock["address"]: clock for clock in run.end.get("clocks", ())}
    machines = []
    for worker in run.header.get("workers", ()):
        numbers = set(worker["processes"])
        sent, late = (int(each[worker["processes"]].sum()) for each in (counts.sent, counts.late))
        vitals = [report for report in run.vitals if report["process"] in numbers]
        drift = drifts.get(worker["address"])
        machines.append(
            Machine(
                address=worker["address"],
                environment=worker["environment"],
                sent=sent,
                generator=judge(vitals, sent=sent, late=late, between_seconds=between_seconds),
                late_seconds=run.header["plan"]["late_seconds"],
                clock_bound_seconds=worker["clock_bound_seconds"],
                drift_seconds=drift["drift_seconds"] if drift else None,
                drift_bound_seconds=drift["bound_seconds"] if drift else 0.0,
            )
        )
    return machines
