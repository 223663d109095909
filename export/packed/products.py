"""Writes matrix products with constant weights, in fp32 or in per-token INT8.

Per-token: each token (row) of the left operand has its scale and zero point, so that it does not depend on the other
texts of the run. Each output channel (column) of the weights has a scale, too. A row's bytes cover the range of its
values: most models have an outlier on one side, and a range around zero would waste half of the steps.

A product has a name, as in `layers.0.qkv`; the names of its constants begin with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from export.packed.builder import MICROSOFT, GraphBuilder
from export.packed.rounding import Rounding, round_to_nearest
from export.packed.weights import Array, Linear

LEVELS = 255
"""Steps between the lowest and the largest value of a row. Bytes are unsigned: ONNX Runtime is slow with a signed left
operand."""

LEAST_RANGE = np.float32(1e-20)
"""Minimum range of a row, so that a row of zeros has a scale, too."""

Choice = Callable[[str], bool]
"""Returns whether the named product or table is quantized."""


@dataclass
class Operand:
    """Rows `[T, inputs]` that are multiplied by one or more weights.

    Attributes:
        rows: The rows.
        lowest: The lowest possible value, if known; otherwise each row's own lowest value is used.
        quantized: The bytes of the rows, once a product has needed them.
    """

    rows: str
    lowest: float | None = None
    quantized: QuantizedRows | None = None


@dataclass(frozen=True)
class QuantizedRows:
    """Bytes `[T, inputs]` that mean `scale * byte + lowest`, with one scale and lowest value `[T, 1]` per row."""

    rows: str
    scale: str
    lowest: str


class Products:
    """Writes products; `quantize` selects the INT8 ones, and `rounding` rounds their weights to bytes."""

    def __init__(self, graph: GraphBuilder, *, quantize: Choice, rounding: Rounding) -> None:
        self._graph = graph
        self._quantize = quantize
        self._rounding = rounding
        self._one = graph.constant(np.array(1, np.float32))
        self._zero = graph.constant(np.array(0, np.uint8))

    def linear(self, operand: Operand, linear: Linear, name: str) -> str:
        """Multiplies an operand by a weight and adds the bias, if there is one."""
        product = self.product(operand, linear.weight, name)
        if linear.bias is None:
            return product
        return self._graph.node("Add", product, self._graph.constant(linear.bias, f"{name}.bias"))

    def product(self, operand: Operand, weight: Array, name: str) -> str:
        """Multiplies an operand by a constant weight `[inputs, outputs]`."""
        graph = self._graph
        if not self._quantize(name):
            return graph.node("MatMul", operand.rows, graph.constant(weight, f"{name}.weight"))
        if operand.quantized is None:
            operand.quantized = self._quantized(operand)
        left = operand.quantized
        quantized, scale = self._rounding.round(weight, name)
        product = graph.node(
            "MatMulIntegerToFloat",
            left.rows,
            graph.constant(quantized, f"{name}.weight"),
            self._one,
            graph.constant(scale, f"{name}.scale"),
            self._zero,
            # Not shared between products: `session.x64quantprecision` rewrites it with the weight, and fails if shared.
            graph.constant(np.array(0, np.int8)),
            domain=MICROSOFT,
        )
        # Each row's lowest value, multiplied by these sums, is added to the columns.
        sums = quantized.sum(axis=0, dtype=np.int64) * scale.astype(np.float64)
        sums_row = graph.constant(sums.astype(np.float32)[None, :])
        # Gemm needs one pass less over the result than Mul and Add.
        return graph.node("Gemm", left.lowest, sums_row, graph.node("Mul", product, left.scale))

    def table(self, words: Array, ids: str, name: str) -> str:
        """Looks up rows in a table of embeddings `[vocabulary, embedding]`; an INT8 table has one scale per row."""
        graph = self._graph
        if not self._quantize(name):
            return graph.node("Gather", graph.constant(words, f"{name}.weight"), ids)
        quantized, scale = round_to_nearest(words.T)
        rows = graph.node("Gather", graph.constant(quantized.T, f"{name}.weight"), ids)
        scales = graph.node("Gather", graph.constant(scale[:, None], f"{name}.scale"), ids)
        return graph.node("Mul", graph.node("Cast", rows, to=TensorProto.FLOAT), scales)

    def _quantized(self, operand: Operand) -> QuantizedRows:
        graph = self._graph
        axis = graph.constant(np.array([1], np.int64))
        largest = graph.node("ReduceMax", operand.rows, axis, keepdims=0)
        if operand.lowest is None:
            lowest = graph.node("ReduceMin", operand.rows, axis, keepdims=0)
            # The range includes zero, because the zero point is a byte.
            zero = graph.constant(np.float32(0))
            lowest, largest = graph.node("Min", lowest, zero), graph.node("Max", largest, zero)
        else:
            lowest = graph.constant(np.array(operand.lowest, np.float32))
        span = graph.node("Max", graph.node("Sub", largest, lowest), graph.constant(np.array(LEAST_RANGE)))
        scale = graph.node("Mul", span, graph.constant(np.array(1 / LEVELS, np.float32)))
        zero_point = graph.node("Round", graph.node("Neg", graph.node("Div", lowest, scale)))
        zero_points = graph.node("Cast", zero_point, to=TensorProto.UINT8)
        rows = graph.node("QuantizeLinear", operand.rows, scale, zero_points, axis=0)
        exact_lowest = graph.node("Neg", graph.node("Mul", zero_point, scale))
        return QuantizedRows(rows, graph.node("Unsqueeze", scale, axis), graph.node("Unsqueeze", exact_lowest, axis))
