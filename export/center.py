"""Measures the center of a tower's vectors on texts, and decides whether to subtract it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.source import SourceModel
from server.encoding.kind import Side, TextKind

Centering = Literal["auto", "on", "off"]

CENTERINGS: tuple[Centering, ...] = get_args(Centering)

NARROW_CONE = 0.5
"""`auto` subtracts the center if unrelated texts have this mean cosine or more. E5 is above, all-MiniLM-L6-v2 below."""

SUBTRACTED_SHARE = 0.7
"""The share of the mean that is subtracted, chosen together with the field weights on training questions."""

MOST_TEXTS = 256
"""Maximum texts for measuring a center. More texts hardly change it."""


def measure_center(
    model: SourceModel, side: Side, texts: Sequence[str], centering: Centering
) -> NDArray[np.float32] | None:
    """Returns the center `[dimension]`, a share of the mean fp32 vector of some texts; None to subtract nothing.

    Args:
        model: The model of the tower.
        side: The side of the tower.
        texts: Unrelated texts in the languages of the catalogue.
        centering: Whether to subtract the center; `auto` does so if the model's vectors lie in a narrow cone.

    Raises:
        ExportError: `centering` is `on`, and the model compares vectors by dot product.
    """
    if centering == "off":
        return None
    if model.similarity != "cosine":
        if centering == "on":
            raise ExportError(
                f"--center on needs a model that compares by cosine; {model.origin} compares by dot product"
            )
        return None
    kind = TextKind.QUERY if side is Side.QUERY else TextKind.TEXT
    mean = model.encode([(text, kind) for text in texts[:MOST_TEXTS]]).mean(axis=0)
    if centering == "auto" and float(mean @ mean) < NARROW_CONE:
        return None
    return np.asarray(SUBTRACTED_SHARE * mean, dtype=np.float32)
