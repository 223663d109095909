"""The most that server and encoder do: the measurement that throughput, load and overload are stated by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from benchmarks.serving.bare import Bare
from benchmarks.serving.setting import NO_CACHE, PATIENT, Setting, median
from benchmarks.serving.stretch import Stretch


@dataclass(frozen=True)
class Peak:
    """Encoder and server in turns, on the same cores with the same queries.

    Attributes:
        cores: How many cores each of them had.
        bares: The encoder alone, a thread for each core.
        stretches: The server with 128 calls in flight.
        shared: Whether the generator ran on the server's cores.
    """

    cores: int
    bares: tuple[Bare, ...]
    stretches: tuple[Stretch, ...]
    shared: bool = True

    @property
    def rate(self) -> float:
        """Answers a second as they were."""
        return median([each.rate for each in self.stretches])

    @property
    def cpu_per_answer(self) -> float:
        """CPU seconds of the server for each answer."""
        return median([each.cpu_per_answer for each in self.stretches])

    def corrected(self, stretch: Stretch) -> float:
        """Returns the rate as if the generator had taken nothing of the server's cores."""
        taken = stretch.generator_cores / self.cores if self.shared else 0.0
        return stretch.rate / max(1 - taken, 0.01)

    @property
    def corrected_rates(self) -> tuple[float, ...]:
        """The corrected rate of each repeat."""
        return tuple(map(self.corrected, self.stretches))

    @property
    def ratios(self) -> tuple[float, ...]:
        """The corrected rate by that of the encoder alone, of each repeat."""
        return tuple(rate / bare.rate for rate, bare in zip(self.corrected_rates, self.bares, strict=True))


class Peaks:
    """Measures the peak once, for whoever asks first."""

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
