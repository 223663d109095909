"""Static INT8 quantization: the scales of activations are measured before, on texts like those to come.

They are the same for all texts, so a text's vector does not depend on its neighbours;
but a scale that fits all texts fits each of them worse.

What comes out of a product stays in floats. To quantize that as well, as ONNX Runtime
does unless told otherwise, saves nothing and costs most of the quality: all-MiniLM-L6-v2
on the sample's texts, mean and worst cosine to fp32, .898 / .769 with it, .983 / .962
without, and .988 / .957 with the residual stream in floats, too. Beside that the method
hardly matters (percentiles, entropy: within .001 of the mean), so it is the simplest:
the lowest and highest value that was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from export.cpu import Preset
from export.errors import ExportError, library_errors
from export.padded.products import PRODUCTS, TABLES, other_products, product_names


def quantize_static(
    fp32: Path,
    int8: Path,
    *,
    preset: Preset,
    token_ids: Sequence[Sequence[int]],
    ranges: Path,
    exclude: Sequence[str],
) -> None:
    """Writes the graph `fp32` to `int8` with INT8 products, weights by output channel.

    Args:
        fp32: The graph.
        int8: Where the quantized one goes.
        preset: The CPU's preset; as for dynamic quantization, weights are unsigned for `avx2`.
        token_ids: The texts to calibrate on. They are run one by one, so that no padding is measured.
        ranges: Keeps what was measured. If it is there already, nothing is measured again.
        exclude: Names of nodes that stay as they are. The products of attention always do.

    Raises:
        ExportError: The model can read none of the texts, or ONNX Runtime's quantizer fails.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    readable = [ids for ids in token_ids if ids]
    if not readable:
        raise ExportError("the model can read none of the texts to calibrate on")

    class Texts(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._texts = iter(readable)

        def get_next(self) -> dict[str, NDArray[np.int64]] | None:
            ids = next(self._texts, None)
            if ids is None:
                return None
            input_ids = np.array([ids], dtype=np.int64)
            return {"input_ids": input_ids, "attention_mask": np.ones_like(input_ids)}

    operators = [*PRODUCTS, *TABLES]
    with library_errors(f"ONNX Runtime cannot quantize {fp32.name}"):
        quantized = int8.with_suffix(".quantized")
        quantize_static(
            fp32,
            quantized,
            Texts(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=operators,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QUInt8 if preset == "avx2" else QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            calibration_cache_path=ranges,
            extra_options={"OpTypesToExcludeOutputQuantization": operators},
            nodes_to_exclude=[*other_products(fp32), *exclude],
        )
        _give_back_floats(fp32, quantized, int8, exclude=exclude)
        quantized.unlink()


def _give_back_floats(fp32: Path, quantized: Path, int8: Path, *, exclude: Sequence[str]) -> None:
    """Writes `quantized` to `int8` with the inputs of `fp32` for every node that was not quantized.

    The quantizer rounds an activation, or a weight that layers share, for all its readers as soon as one of them is
    quantized: the residual stream would pass through INT8 at each layer, and an excluded product would read what was
    rounded for its neighbour.
    """
    before = onnx.load(str(fp32)).graph
    model = onnx.load(str(quantized))
    made_int8 = set(product_names(fp32)) - set(exclude)
    # A table stays INT8 in ONNX Runtime only if its rows are dequantized behind it; they lose nothing by that.
    rows = {node.output[0] for node in before.node if node.op_type in TABLES and node.name in made_int8}
    inputs = {node.name: node.input for node in before.node if node.name not in made_int8}
    read: set[str] = set()
    for node in model.graph.node:
        if node.name in inputs:
            pairs = zip(inputs[node.name], node.input, strict=True)
            node.input[:] = [now if original in rows else original for original, now in pairs]
        read.update(node.input)
    there = {constant.name for constant in model.graph.initializer}
    model.graph.initializer.extend(
        constant for constant in before.initializer if constant.name in read and constant.name not in there
    )
    onnx.save(model, str(int8))
