"""Trims the token embeddings of a padded graph, as the last step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from export.errors import ExportError
from export.padded.storage import save_graph

IDS = "input_ids"


def trim_table(graph: Path, out: Path, kept_ids: NDArray[np.int64]) -> Path:
    """Writes a graph to `out` with only some rows of its token embeddings; returns `out`.

    The table may be quantized. If each row has a scale, the scales are trimmed with the rows.

    Args:
        graph: The graph.
        out: The path of the new graph; it may be the same path.
        kept_ids: For each new row, in order, its number in the whole table.

    Raises:
        ExportError: The graph uses token ids for more than lookups, so new ids would change its vectors.
    """
    model = onnx.load(str(graph))
    constants = {constant.name: constant for constant in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    readers = [node for node in model.graph.node if IDS in node.input]
    lookups = [node for node in readers if node.op_type == "Gather" and node.input[1] == IDS]
    tables = {name for node in lookups for name in _constants_of(node.input[0], makers, constants)}
    others = {node.op_type for node in readers if node not in lookups} - {"Shape"}
    if not tables or others:
        reason = f"uses its token ids in {', '.join(sorted(others))}" if others else "has no token embeddings"
        raise ExportError(
            f"the padded graph {reason}, so its vocabulary cannot be trimmed; export it with --languages all"
        )
    rows = max(constants[name].dims[0] for name in tables if constants[name].dims)
    for name in tables:
        if constants[name].dims[:1] == [rows]:
            values = numpy_helper.to_array(constants[name])[kept_ids]
            constants[name].CopyFrom(numpy_helper.from_array(values, name))
    save_graph(model, out)
    return out


def _constants_of(name: str, makers: dict[str, onnx.NodeProto], constants: dict[str, onnx.TensorProto]) -> set[str]:
    """Returns the constant of a table, or the constants from which it is dequantized."""
    if name in constants:
        return {name}
    maker = makers.get(name)
    if maker is None or maker.op_type != "DequantizeLinear":
        return set()
    return {each for each in maker.input if each in constants}
