"""The quantization options of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from export.cpu import Preset

Quantization = Literal["per-token", "dynamic", "static", "none"]

QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)

CALIBRATED: tuple[Quantization, ...] = ("per-token", "static")
"""The quantizations that use calibration texts."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The quantization options of a model.

    Attributes:
        quantization: The kind of quantization.
        preset: The CPU's preset, for dynamic and static quantization.
        calibration: Texts like those that the model will encode. Static quantization measures the ranges of
            activations on them; per-token quantization measures the inputs of products, to round their weights.
    """

    quantization: Quantization
    preset: Preset
    calibration: Sequence[str] = ()
