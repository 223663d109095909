"""A run second by second: what charts draw, what stability is judged by, and what bootstraps resample.

A request belongs to the second that it was planned for, an answer also to the second that it came in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtest.analysis import bins
from loadtest.codes import CODES, OK
from loadtest.results.file import Records
from loadtest.stages import STAGES

WINDOW_NS = 1_000_000_000
_GROW = 64


class Timeline:
    """Counts for each second of a run.

    Attributes:
        planned: Requests planned for it and sent, `[seconds]`.
        dropped: Requests planned for it and not sent, `[seconds]`.
        codes: Their outcomes by gRPC code, `[seconds, len(CODES)]`.
        ended: Requests that ended in it, whatever their outcome, `[seconds]`.
        answered: Those of them that succeeded, `[seconds]`.
        latency: Successes by their latency from the planned time, `[seconds, bins.COUNT]`.
        service: Successes by their service time, `[seconds, bins.COUNT]`.
        stage_sums: Seconds in each of the server's stages, summed over successes that told them,
            `[seconds, len(STAGES)]`.
        staged: Number of those successes, `[seconds]`.
    """

    def __init__(self) -> None:
        self._length = 0
        self._planned = _zeros()
        self._dropped = _zeros()
        self._codes = _zeros(len(CODES))
        self._ended = _zeros()
        self._answered = _zeros()
        self._latency = _zeros(bins.COUNT)
        self._service = _zeros(bins.COUNT)
        self._stage_sums = _zeros(len(STAGES), kind=np.float64)
        self._staged = _zeros()

    def __len__(self) -> int:
        return self._length

    @property
    def planned(self) -> NDArray[Any]:
        """Requests planned for each second, and sent."""
        return self._planned[: self._length]

    @property
    def dropped(self) -> NDArray[Any]:
        """Requests planned for each second, and not sent."""
        return self._dropped[: self._length]

    @property
    def codes(self) -> NDArray[Any]:
        """Outcomes of each second's requests by gRPC code."""
        return self._codes[: self._length]

    @property
    def ended(self) -> NDArray[Any]:
        """Requests that ended in each second, whatever their outcome."""
        return self._ended[: self._length]

    @property
    def answered(self) -> NDArray[Any]:
        """Successful answers that came in each second."""
        return self._answered[: self._length]

    @property
    def latency(self) -> NDArray[Any]:
        """Each second's successes by their latency from the planned time."""
        return self._latency[: self._length]

    @property
    def service(self) -> NDArray[Any]:
        """Each second's successes by their service time."""
        return self._service[: self._length]

    @property
    def stage_sums(self) -> NDArray[Any]:
        """Seconds in the server's stages, summed over each second's successes that told them."""
        return self._stage_sums[: self._length]

    @property
    def staged(self) -> NDArray[Any]:
        """Number of each second's successes that told their stages."""
        return self._staged[: self._length]

    def add(self, records: Records) -> None:
        """Counts records of the measured part."""
        if not len(records):
            return
        planned = records["planned_ns"] // WINDOW_NS
        done = records["done_ns"] // WINDOW_NS
        self._reserve(int(max(planned.max(), done.max())) + 1)
        np.add.at(self._planned, planned, 1)
        np.add.at(self._codes, (planned, records["code"]), 1)
        np.add.at(self._ended, done, 1)
        good = records["code"] == OK
        np.add.at(self._answered, done[good], 1)
        planned, records = planned[good], records[good]
        latency = bins.bins_of(records["done_ns"] - records["planned_ns"])
        service = bins.bins_of(records["done_ns"] - records["sent_ns"])
        np.add.at(self._latency, (planned, latency), 1)
        np.add.at(self._service, (planned, service), 1)
        told = ~np.isnan(records[f"{STAGES[0]}_seconds"])
        for column, stage in enumerate(STAGES):
            np.add.at(self._stage_sums[:, column], planned[told], records[f"{stage}_seconds"][told])
        np.add.at(self._staged, planned[told], 1)

    def add_drops(self, drops: Iterable[tuple[int, int]]) -> None:
        """Counts requests that were not sent, by the tenth of a second that they were planned for."""
        for tenth, number in drops:
            self._reserve(tenth // 10 + 1)
            self._dropped[tenth // 10] += number

    def _reserve(self, length: int) -> None:
        self._length = max(self._length, length)
        missing = self._length - len(self._planned)
        if missing > 0:
            more = max(missing, _GROW)
            for name in (
                "_planned",
                "_dropped",
                "_codes",
                "_ended",
                "_answered",
                "_latency",
                "_service",
                "_stage_sums",
                "_staged",
            ):
                array = getattr(self, name)
                setattr(self, name, np.concatenate([array, np.zeros((more, *array.shape[1:]), dtype=array.dtype)]))


def _zeros(*width: int, kind: type = np.int32) -> NDArray[Any]:
    return np.zeros((0, *width), dtype=kind)
