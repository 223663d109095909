"""Writes ONNX nodes, and the two forms of a matrix product with constant weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from export.packed.weights import Array

MICROSOFT = "com.microsoft"
"""ONNX Runtime's own operators."""

ZERO_POINT = 128
"""Of activations: they are unsigned bytes, since a signed left operand falls off ONNX Runtime's fast path."""

OPSET = 21


class GraphBuilder:
    """Collects nodes and constants. Its methods take and give the names of values."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._weights: dict[int, tuple[Array, str]] = {}

    def constant(self, value: NDArray[Any] | np.generic) -> str:
        """Adds a constant."""
        name = f"weight_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name))
        return name

    def weight(self, value: Array) -> str:
        """Adds a constant that the encoder consists of, once, however many layers share it (the very object)."""
        if id(value) not in self._weights:
            self._weights[id(value)] = value, self.constant(value)  # Kept, so that no other gets its id.
        return self._weights[id(value)][1]

    def node(self, operator: str, *inputs: str, domain: str = "", output: str | None = None, **attributes: Any) -> str:
        """Adds a node with one output."""
        name = output or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], domain=domain, name=name, **attributes))
        return name

    def split(self, value: str, count: int, *, axis: int) -> list[str]:
        """Splits a value into equal parts."""
        names = [f"Split_{len(self._nodes)}_{part}" for part in range(count)]
        self._nodes.append(helper.make_node("Split", [value], names, axis=axis, num_outputs=count, name=names[0]))
        return names

    def model(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """Returns the model."""
        graph = helper.make_graph(self._nodes, "encoder", inputs, outputs, self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="chaja")


class Products:
    """Matrix products with constant weights, in fp32 or in per-token INT8.

    Per-token: each token (row) of the left operand has a scale of its own, so that it does not depend on the other
    texts of the run; each output channel (column) of the weights has one, too.
    """

    def __init__(self, graph: GraphBuilder, *, quantize: bool) -> None:
        self._graph = graph
        self._quantize = quantize
        self._quantized: dict[int, tuple[Array, str, str]] = {}
        if quantize:
            row_count = graph.node("Shape", "input_ids")
            self._zero_points = graph.node("Expand", graph.constant(np.array([ZERO_POINT], np.uint8)), row_count)
            self._zero_point = graph.constant(np.array(ZERO_POINT, np.uint8))
            self._one = graph.constant(np.array(1, np.float32))
            self._levels = graph.constant(np.array(1 / 127, np.float32))
            self._last_axis = graph.constant(np.array([1], np.int64))

    def operand(self, rows: str, *, lowest: float | None = None) -> tuple[str, str]:
        """Prepares rows `[T, inputs]` for `product`.

        `lowest` is the lowest value that they can have, if it is a small one: the largest value alone then decides
        the scale.
        """
        if not self._quantize:
            return rows, ""
        graph = self._graph
        magnitudes = graph.node("Abs", rows) if lowest is None else rows
        least = np.finfo(np.float32).tiny if lowest is None else -lowest  # A row of zeros has a scale, too.
        largest = graph.node("ReduceMax", magnitudes, self._last_axis, keepdims=0)
        largest = graph.node("Max", largest, graph.constant(np.array(least, np.float32)))
        scale = graph.node("Mul", largest, self._levels)
        quantized = graph.node("QuantizeLinear", rows, scale, self._zero_points, axis=0)
        return quantized, graph.node("Unsqueeze", scale, self._last_axis)

    def product(self, operand: tuple[str, str], weight: Array) -> str:
        """Multiplies an operand by a constant weight `[inputs, outputs]`."""
        rows, scale = operand
        graph = self._graph
        if not self._quantize:
            return graph.node("MatMul", rows, graph.weight(weight))
        quantized, weight_scale = self._columns(weight)
        product = graph.node(
            "MatMulIntegerToFloat",
            rows,
            quantized,
            self._one,
            weight_scale,
            self._zero_point,
            # One for each product: `session.x64quantprecision` rewrites it with the weight, and fails on a shared one.
            graph.constant(np.array(0, np.int8)),
            domain=MICROSOFT,
        )
        return graph.node("Mul", product, scale)

    def _columns(self, weight: Array) -> tuple[str, str]:
        """Adds a quantized weight and its scales, once, however many layers share it."""
        if id(weight) not in self._quantized:
            quantized, scale = quantize_columns(weight)
            self._quantized[id(weight)] = weight, self._graph.constant(quantized), self._graph.constant(scale)
        return self._quantized[id(weight)][1:]


def quantize_columns(weight: Array) -> tuple[NDArray[np.int8], Array]:
    """Returns a weight `[inputs, outputs]` as signed bytes, and the scale `[outputs]` of each column."""
    scale = np.maximum(np.abs(weight).max(axis=0), np.finfo(np.float32).tiny) / 127
    return np.rint(weight / scale).astype(np.int8), scale.astype(np.float32)
