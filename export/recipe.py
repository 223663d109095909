"""How a model is quantized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from export.cpu import Preset

Quantization = Literal["per-token", "dynamic", "static", "none"]

QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)

CALIBRATED: tuple[Quantization, ...] = ("per-token", "static")
"""Those that measure something on texts."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is quantized.

    Attributes:
        quantization: What becomes of the weights.
        preset: The CPU's preset, for dynamic and static quantization.
        calibration: Texts as the model will see them. Static quantization measures its ranges on them, per-token what
            its products multiply, for which their weights are rounded.
    """

    quantization: Quantization
    preset: Preset
    calibration: Sequence[str] = ()
