"""The highest rate of server and encoder: throughput, load and overload are stated relative to it."""

import statistics
from dataclasses import dataclass
from functools import cached_property

from benchmarks.serving.bare import Bare
from benchmarks.serving.setting import NO_CACHE, PATIENT, Setting
from benchmarks.serving.stretch import Stretch


@dataclass(frozen=True)
class Peak:
    """The server, and the encoder if it was measured, alternately on the same cores with the same queries.

    Attributes:
        cores: Number of cores of the server.
        bares: The encoder alone, one thread for each core.
        stretches: The server with `IN_FLIGHT` calls in flight.
    """

    cores: int
    bares: tuple[Bare, ...]
    stretches: tuple[Stretch, ...]

    @property
    def rate(self) -> float:
        """Answers a second as measured."""
        return statistics.median(each.rate for each in self.stretches)

    @property
    def cpu_per_answer(self) -> float:
        """CPU seconds of the server for each answer."""
        return statistics.median(each.cpu_per_answer for each in self.stretches)

    @property
    def corrected_rates(self) -> list[float]:
        """Answers a second of each repeat, without the generator's share of the cores."""
        return [each.rate / max(1 - each.generator_cores / self.cores, 0.01) for each in self.stretches]

    @property
    def ratios(self) -> list[float]:
        """The corrected rate divided by the encoder's rate, of each repeat."""
        return [rate / bare.rate for rate, bare in zip(self.corrected_rates, self.bares, strict=True)]


class Peaks:
    """Measures the peak once, on first use."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    @cached_property
    def peak(self) -> Peak:
        """The peak on all cores."""
        setting, bares, stretches = self._setting, [], []
        cores = len(setting.cores)
        with setting.server(*NO_CACHE, *PATIENT) as server:
            for _ in range(setting.repeats):
                bares.append(setting.bare(threads=cores))
                stretches.append(setting.closed(server))
        return Peak(cores, tuple(bares), tuple(stretches))
