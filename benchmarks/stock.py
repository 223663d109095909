"""Optimum's dynamic INT8 as its users get it: the preset of this CPU, with nothing changed.

`--quantization dynamic` differs in one point: it leaves attention's own products in fp32.
"""

from __future__ import annotations

from pathlib import Path

from export.cpu import default_preset


def quantize_as_optimum_does(fp32: Path, directory: Path) -> Path:
    """Writes the graph `fp32`, quantized, to a directory; returns its path."""
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    preset = getattr(AutoQuantizationConfig, default_preset())(is_static=False)
    quantizer = ORTQuantizer.from_pretrained(fp32.parent, file_name=fp32.name)
    quantizer.quantize(save_dir=directory, quantization_config=preset)
    return directory / f"{fp32.stem}_quantized.onnx"
