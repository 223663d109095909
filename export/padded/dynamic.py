"""Dynamic INT8 quantization with optimum's presets."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx

from export.cpu import Preset
from export.errors import library_errors
from export.padded.products import other_products
from export.padded.storage import has_data_file, save_graph


def quantize_dynamic(fp32: Path, int8: Path, *, preset: Preset, exclude: Sequence[str]) -> None:
    """Writes the graph `fp32` to `int8` with INT8 weights and one scale for each output channel.

    Activations are quantized at run time, with one scale for a whole run. `avx2` has unsigned weights, which cannot
    saturate on CPUs without VNNI; the other presets have signed ones. The nodes in `exclude` stay in fp32. So do the
    products of attention: INT8 does not make them faster, an outlier among their values would spoil the result, and
    they have no name that a user could exclude.
    """
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    # The quantizer turns a Gemm into a MatMul with this suffix before it checks the exclusions.
    excluded = [*other_products(fp32), *exclude, *(f"{name}_MatMul" for name in exclude)]
    configuration = getattr(AutoQuantizationConfig, preset)(
        is_static=False, per_channel=True, nodes_to_exclude=excluded
    )
    with (
        tempfile.TemporaryDirectory(dir=int8.parent) as temporary,
        library_errors(f"optimum cannot quantize {fp32.name}"),
    ):
        quantizer = ORTQuantizer.from_pretrained(fp32.parent, file_name=fp32.name)
        quantizer.quantize(
            save_dir=temporary, quantization_config=configuration, use_external_data_format=has_data_file(fp32)
        )
        save_graph(onnx.load(Path(temporary) / f"{fp32.stem}_quantized.onnx"), int8)
