"""Writes ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""

OPSET = 21


@dataclass(frozen=True)
class BuiltGraph:
    """A graph whose named weights are apart, because an ONNX message holds at most 2 GiB.

    Attributes:
        model: The graph; a named weight has a name, a type and a shape, but no data.
        weights: The named weights.
    """

    model: onnx.ModelProto
    weights: dict[str, NDArray[Any]]


class GraphBuilder:
    """Collects nodes and constants. Its methods take and return names of values."""

    def __init__(self) -> None:
        self._weights: dict[str, NDArray[Any]] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._prefix = ""

    def constant(self, value: NDArray[Any] | np.generic, name: str = "") -> str:
        """Adds a constant. Weights need a name with a dot, by which the native encoder finds them.

        Other constants are few and small; they are part of the graph, as are the weights inside a loop.
        """
        name = name or f"{self._prefix}constant_{len(self._constants)}"
        array = np.ascontiguousarray(value).reshape(np.shape(value))
        if "." in name and not self._prefix:
            self._weights[name] = array
            number_type = helper.np_dtype_to_tensor_dtype(array.dtype)
            self._constants.append(onnx.TensorProto(name=name, data_type=number_type, dims=array.shape))
        else:
            self._constants.append(numpy_helper.from_array(array, name))
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
        """Applies the nodes of `body` to rows `[T, hidden]`, then to its own output, `times` times in all.

        The graph has the nodes and their constants only once. The names that `body` creates are valid only inside it.
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

    def model(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> BuiltGraph:
        """Returns the graph of all nodes and constants."""
        graph = helper.make_graph(self._nodes, "encoder", inputs, outputs, self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="chaja")
        return BuiltGraph(model, self._weights)
