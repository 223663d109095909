"""Groups of neighbouring seconds, so that the charts of long runs stay small."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from loadtest.analysis.timeline import Timeline
from loadtest.reports.style import fit_time, line

MOST_POINTS = 600
"""A line of more points looks the same and makes the page larger."""


@dataclass(frozen=True)
class Groups:
    """The groups of a run, at most `MOST_POINTS`, from the start of a run to its end.

    Attributes:
        edges: Start of each group, and the end of the last one, in seconds. The last group is from half as long to
            one and a half times as long as the others, so that no group is a few milliseconds long.
    """

    edges: NDArray[np.float64]

    @classmethod
    def planned(cls, timeline: Timeline) -> Groups:
        """Returns the groups for counts by the planned second."""
        return cls._until(timeline.planned_end)

    @classmethod
    def ended(cls, timeline: Timeline) -> Groups:
        """Returns the groups for counts by the second of the end: until the last answer."""
        return cls._until(max(timeline.planned_end, timeline.last_end))

    @classmethod
    def _until(cls, end: float) -> Groups:
        step = max(1, math.ceil(end / MOST_POINTS))
        starts = np.arange(max(1, math.floor(end / step + 0.5)), dtype=np.float64) * step
        return cls(np.append(starts, max(end, starts[-1] + step / 2)))

    @property
    def starts(self) -> NDArray[np.float64]:
        """Start of each group in seconds."""
        return self.edges[:-1]

    @property
    def widths(self) -> NDArray[np.float64]:
        """Length of each group in seconds."""
        return np.diff(self.edges)

    def sums(self, counts: NDArray[Any]) -> NDArray[Any]:
        """Returns the sum of each group; seconds are the first axis."""
        first = self.starts.astype(np.int64)
        missing = max(0, int(first[-1]) + 1 - len(counts))
        return np.add.reduceat(np.pad(counts, [(0, missing)] + [(0, 0)] * (counts.ndim - 1)), first, axis=0)

    def rates(self, counts: NDArray[Any]) -> NDArray[np.float64]:
        """Returns counts a second."""
        return self.sums(counts) / self.widths.reshape(-1, *[1] * (counts.ndim - 1))

    def steps(self, chart: go.Figure, values: NDArray[np.float64], name: str, colour: str, **options: Any) -> None:
        """Draws a value for each group, as a line that is level from the group's start to its end."""
        # A step ends where the next one begins, so the last one before a gap, or before the end, needs a point there.
        ends = ~np.isnan(values) & np.append(np.isnan(values[1:]), True)
        places = np.flatnonzero(ends) + 1
        x = np.insert(self.starts, places, self.edges[places])
        y = np.insert(values.astype(np.float64), places, values[ends])
        line(chart, x, y, name, colour, mode="lines", line={"shape": "hv"}, **options)
        fit_time(chart, self.edges[-1])
