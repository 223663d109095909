"""Static INT8 quantization: the scales of activations are measured on calibration texts.

All texts have the same scales, so a text's vector does not depend on the other texts of its batch. But a scale for all
texts is less exact for each of them.

The outputs of products and the residual stream stay in floats. ONNX Runtime's default is to quantize them, too, which
saves nothing and costs most of the quality. The calibration method hardly matters, so it is the simplest one: the
lowest and highest value.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from export.cpu import Preset
from export.errors import ExportError, library_errors
from export.padded.products import PRODUCTS, TABLES, other_products, product_names
from export.padded.storage import has_data_file, save_graph


def quantize_static(
    fp32: Path,
    int8: Path,
    *,
    preset: Preset,
    token_ids: Sequence[Sequence[int]],
    ranges: Path,
    exclude: Sequence[str],
) -> None:
    """Writes the graph `fp32` to `int8` with INT8 products and one weight scale for each output channel.

    Args:
        fp32: The path of the graph.
        int8: The path of the quantized graph.
        preset: The CPU's preset; as for dynamic quantization, weights are unsigned for `avx2`.
        token_ids: The calibration texts. They run one by one, so that no padding is measured.
        ranges: The path of the measured ranges. If the file exists, nothing is measured again.
        exclude: Names of nodes that stay in fp32. The products of attention always do.

    Raises:
        ExportError: None of the texts has tokens, or ONNX Runtime's quantizer fails.
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
        raise ExportError("the model has no tokens for any calibration text")

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
    with (
        tempfile.TemporaryDirectory(dir=int8.parent) as temporary,
        library_errors(f"ONNX Runtime cannot quantize {fp32.name}"),
    ):
        quantized = Path(temporary) / int8.name
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
            use_external_data_format=has_data_file(fp32),
        )
        _give_back_floats(fp32, quantized, int8, exclude=exclude)


def _give_back_floats(fp32: Path, quantized: Path, int8: Path, *, exclude: Sequence[str]) -> None:
    """Writes `quantized` to `int8`, with the inputs of `fp32` for every node that is not quantized.

    If one reader of an activation or a shared weight is quantized, the quantizer rounds the value for all readers. Then
    the residual stream would pass through INT8 at each layer, and an excluded product would read rounded values.
    """
    before = onnx.load(str(fp32)).graph
    model = onnx.load(str(quantized))
    made_int8 = set(product_names(fp32)) - set(exclude)
    # A table stays INT8 in ONNX Runtime only if its rows are dequantized after the lookup, which loses nothing.
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
    save_graph(model, int8)
