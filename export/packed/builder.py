"""Writes ONNX nodes, and the two forms of a matrix product with constant weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.packed.weights import Array, Linear

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
        self._prefix = ""

    def constant(self, value: NDArray[Any] | np.generic) -> str:
        """Adds a constant."""
        name = f"{self._prefix}weight_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name))
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", output: str | None = None, **attributes: Any) -> str:
        """Adds a node with one output."""
        name = output or f"{self._prefix}{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], domain=domain, name=name, **attributes))
        return name

    def split(self, value: str, count: int, *, axis: int) -> list[str]:
        """Splits a value into equal parts."""
        names = [f"{self._prefix}Split_{len(self._nodes)}_{part}" for part in range(count)]
        self._nodes.append(helper.make_node("Split", [value], names, axis=axis, num_outputs=count, name=names[0]))
        return names

    def repeat(self, times: int, rows: str, body: Callable[[str], str]) -> str:
        """Applies the nodes of `body` to rows `[T, hidden]`, then to what came out, `times` times in all.

        The graph holds them and their constants once. `body` must not remember a name beyond its end.
        """
        if times == 1:
            return body(rows)
        outside = self._nodes, self._constants, self._prefix
        name = f"{self._prefix}Loop_{len(self._nodes)}"
        self._nodes, self._constants, self._prefix = [], [], f"{name}_"
        before, turn, go_on = (f"{name}_{part}" for part in ("rows", "turn", "go_on"))
        after = self.node("Identity", body(before))
        result = helper.make_graph(
            [*self._nodes, helper.make_node("Identity", [go_on], [f"{go_on}_still"])],
            name,
            [
                helper.make_tensor_value_info(turn, TensorProto.INT64, []),
                helper.make_tensor_value_info(go_on, TensorProto.BOOL, []),
                helper.make_tensor_value_info(before, TensorProto.FLOAT, [None, None]),
            ],
            [
                helper.make_tensor_value_info(f"{go_on}_still", TensorProto.BOOL, []),
                helper.make_tensor_value_info(after, TensorProto.FLOAT, [None, None]),
            ],
            self._constants,
        )
        self._nodes, self._constants, self._prefix = outside
        return self.node("Loop", self.constant(np.array(times, np.int64)), "", rows, output=name, body=result)

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

    def linear(self, operand: tuple[str, str], linear: Linear) -> str:
        """Multiplies an operand by a weight and adds the bias, if there is one."""
        product = self.product(operand, linear.weight)
        return product if linear.bias is None else self._graph.node("Add", product, self._graph.constant(linear.bias))

    def product(self, operand: tuple[str, str], weight: Array) -> str:
        """Multiplies an operand by a constant weight `[inputs, outputs]`."""
        rows, scale = operand
        graph = self._graph
        if not self._quantize:
            return graph.node("MatMul", rows, graph.constant(weight))
        quantized, weight_scale = quantize_columns(weight)
        product = graph.node(
            "MatMulIntegerToFloat",
            rows,
            graph.constant(quantized),
            self._one,
            graph.constant(weight_scale),
            self._zero_point,
            # One for each product: `session.x64quantprecision` rewrites it with the weight, and fails on a shared one.
            graph.constant(np.array(0, np.int8)),
            domain=MICROSOFT,
        )
        return graph.node("Mul", product, scale)


def quantize_columns(weight: Array) -> tuple[NDArray[np.int8], Array]:
    """Returns a weight `[inputs, outputs]` as signed bytes, and the scale `[outputs]` of each column."""
    scale = np.maximum(np.abs(weight).max(axis=0), np.finfo(np.float32).tiny) / 127
    return np.rint(weight / scale).astype(np.int8), scale.astype(np.float32)
