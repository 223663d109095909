"""A run second by second: the data of the charts, of the stability check and of the bootstrap.

A request counts for the second of its planned time. Its end also counts for the second in which it ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtest.analysis import bins
from loadtest.codes import OK, OUTCOMES, UNANSWERED
from loadtest.results.file import Records
from loadtest.stages import STAGES

WINDOW_NS = 1_000_000_000
_GROW = 64


class _Column:
    """An array of `Timeline` without the spare capacity at its end."""

    def __init__(self, *width: int, kind: type = np.int32) -> None:
        self.empty: NDArray[Any] = np.zeros((0, *width), dtype=kind)

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, timeline: Timeline, owner: type) -> NDArray[Any]:
        return timeline.arrays[self._name][: len(timeline)]


class Timeline:
    """Counts for each second of a run.

    Attributes:
        planned: Requests planned for the second and sent, `[seconds]`.
        dropped: Requests planned for the second but not sent, `[seconds]`.
        codes: Outcomes of sent requests by their number, `[seconds, len(OUTCOMES)]`.
        ended: Requests that ended in the second with any outcome; unanswered ones never do, `[seconds]`.
        answered: Requests that ended in the second and succeeded, `[seconds]`.
        latency: Successes by their latency from the planned time, `[seconds, bins.COUNT]`.
        service: Successes by their service time, `[seconds, bins.COUNT]`.
        stage_sums: Seconds in each server stage, summed over successes that report it, `[seconds, len(STAGES)]`.
        staged: Successes that report their stages, `[seconds]`.
        checked: Successes of calls with checks, `[seconds]`.
        failed_checks: Those that failed a check, `[seconds]`.
        planned_end: End of the planned time, in seconds; of several runs, the latest.
        last_end: End of the last request, in seconds.
        arrays: All arrays by name, with spare capacity.
    """

    planned = _Column()
    dropped = _Column()
    codes = _Column(len(OUTCOMES))
    ended = _Column()
    answered = _Column()
    latency = _Column(bins.COUNT)
    service = _Column(bins.COUNT)
    stage_sums = _Column(len(STAGES), kind=np.float64)
    staged = _Column()
    checked = _Column()
    failed_checks = _Column()

    def __init__(self) -> None:
        self._length = 0
        self.planned_end = self.last_end = 0.0
        self.arrays = {name: each.empty for name, each in vars(Timeline).items() if isinstance(each, _Column)}

    def __len__(self) -> int:
        return self._length

    def add(self, records: Records, *, checked_calls: Sequence[int] = ()) -> None:
        """Counts records of the measured part; `checked_calls` are the numbers of the calls with checks."""
        if not len(records):
            return
        planned = records["planned_ns"] // WINDOW_NS
        done = records["done_ns"] // WINDOW_NS
        self._reserve(int(max(planned.max(), done.max())) + 1)
        self.last_end = max(self.last_end, float(records["done_ns"].max()) / 1e9)
        np.add.at(self.planned, planned, 1)
        np.add.at(self.codes, (planned, records["code"]), 1)
        np.add.at(self.ended, done[records["code"] != UNANSWERED], 1)
        good = records["code"] == OK
        np.add.at(self.answered, done[good], 1)
        planned, records = planned[good], records[good]
        latency = bins.bins_of(records["done_ns"] - records["planned_ns"])
        service = bins.bins_of(records["done_ns"] - records["sent_ns"])
        np.add.at(self.latency, (planned, latency), 1)
        np.add.at(self.service, (planned, service), 1)
        reported = ~np.isnan(records[f"{STAGES[0]}_seconds"])
        for column, stage in enumerate(STAGES):
            np.add.at(self.stage_sums[:, column], planned[reported], records[f"{stage}_seconds"][reported])
        np.add.at(self.staged, planned[reported], 1)
        np.add.at(self.checked, planned[np.isin(records["call"], checked_calls)], 1)
        np.add.at(self.failed_checks, planned[records["failed_checks"] > 0], 1)

    def add_drops(self, drops: Iterable[tuple[int, int]]) -> None:
        """Counts dropped requests, given as (planned tenth of a second, number)."""
        for tenth, number in drops:
            self._reserve(tenth // 10 + 1)
            self.dropped[tenth // 10] += number

    def _reserve(self, length: int) -> None:
        self._length = max(self._length, length)
        missing = self._length - len(self.arrays["planned"])
        if missing > 0:
            for name, array in self.arrays.items():
                more = np.zeros((max(missing, _GROW), *array.shape[1:]), dtype=array.dtype)
                self.arrays[name] = np.concatenate([array, more])
