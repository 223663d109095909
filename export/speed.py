"""Measures the encoding speed of candidates, with one thread each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from export.candidate import Candidate, Text

REPEATS = 5


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Texts a second of the graph before quantization and of the served one.

    It is printed, but no part of the bundle: another export of the same model must give the same bytes.
    """

    fp32: float
    served: float

    @property
    def row(self) -> tuple[str, str]:
        """The row of the printed report."""
        times = self.served / self.fp32
        return (
            "speed, one thread",
            f"{self.served:.0f} texts a second, fp32 {self.fp32:.0f}: {times:.1f} times as fast",
        )


def measure_speed(fp32: Candidate, served: Candidate, texts: Sequence[Text]) -> Speed:
    """Returns the median rates. The two run alternately, so that a busy machine slows both of them."""
    rates: dict[Candidate, list[float]] = {fp32: [], served: []}
    for _ in range(REPEATS):
        for candidate, found in rates.items():
            started = time.perf_counter()
            candidate.encode(texts)
            found.append(len(texts) / (time.perf_counter() - started))
    return Speed(fp32=statistics.median(rates[fp32]), served=statistics.median(rates[served]))
