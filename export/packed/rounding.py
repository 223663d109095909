"""Rounds the weights of products to bytes, with one scale for each output channel.

If the inputs of a product were measured, later input channels compensate for the rounding of earlier ones: "GPTQ:
Accurate Post-Training Quantization for Generative Pre-trained Transformers" (Frantar et al., 2022, arXiv 2210.17323),
with inputs ordered by their size. Otherwise each weight is rounded to the nearest byte.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from export.packed.weights import Array

LARGEST = 127

DAMPING = 0.01
"""Share of the mean square of the inputs that is added to each, because the measured texts are only a sample."""

BLOCK = 128
"""Inputs whose effect on later inputs is applied in one product."""


class Rounding:
    """Rounds the weight of each product once, by the product's name.

    `moments` has `rows.T @ rows` `[inputs, inputs]` of the input rows of products, by name.
    """

    def __init__(self, moments: Mapping[str, Array] | None = None) -> None:
        self._moments = dict(moments or {})
        self._rounded: dict[str, tuple[NDArray[np.int8], Array]] = {}

    def round(self, weight: Array, name: str) -> tuple[NDArray[np.int8], Array]:
        """Returns a product's weight `[inputs, outputs]` as bytes, and the scale `[outputs]` of each column."""
        if name not in self._rounded:
            moments = self._moments.pop(name, None)  # They take as much memory as the weights, or more.
            if moments is None or not np.any(moments):  # Rows of zeros carry no information.
                self._rounded[name] = round_to_nearest(weight)
            else:
                self._rounded[name] = round_jointly(weight, moments)
        return self._rounded[name]


def round_to_nearest(weight: Array) -> tuple[NDArray[np.int8], Array]:
    """Returns a weight `[inputs, outputs]` as signed bytes, and the scale `[outputs]` of each column."""
    scale = column_scales(weight)
    return np.rint(weight / scale).astype(np.int8), scale


def round_jointly(weight: Array, moments: Array) -> tuple[NDArray[np.int8], Array]:
    """Returns the same as `round_to_nearest`, but minimises the change of products with rows of these `moments`."""
    scale = column_scales(weight)
    order = np.argsort(-np.diagonal(moments), kind="stable")
    spread = moments[np.ix_(order, order)].astype(np.float64)
    spread[np.diag_indices_from(spread)] += DAMPING * np.diagonal(spread).mean()
    # Row i has the shares with which the inputs after i compensate for a change of input i.
    shares = np.linalg.cholesky(np.linalg.inv(spread)).T
    wanted = weight[order].astype(np.float64) / scale
    rounded = np.empty_like(wanted)
    for first in range(0, len(wanted), BLOCK):
        end = min(first + BLOCK, len(wanted))
        changes = np.empty((end - first, wanted.shape[1]))
        for row in range(first, end):
            rounded[row] = np.clip(np.rint(wanted[row]), -LARGEST, LARGEST)
            changes[row - first] = (wanted[row] - rounded[row]) / shares[row, row]
            wanted[row + 1 : end] -= np.outer(shares[row, row + 1 : end], changes[row - first])
        wanted[end:] -= shares[first:end, end:].T @ changes
    result = np.empty(weight.shape, np.int8)
    result[order] = rounded
    return result, scale


def column_scales(weight: Array) -> Array:
    """Returns the scale `[outputs]` at which the largest weight of each column is the largest byte."""
    scales: Array = (np.maximum(np.abs(weight).max(axis=0), np.finfo(np.float32).tiny) / LARGEST).astype(np.float32)
    return scales
