"""Writes a packed graph: the nodes as ONNX, the weights beside it as safetensors.

ONNX Runtime reads the weights as the graph's external data; the server's native
encoder reads them by their names, and what to do with them from the metadata. So one
copy of the weights serves both.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import onnx
from onnx import TensorProto, numpy_helper
from safetensors.numpy import save_file

from server.encoding.native.architecture import ARCHITECTURE, Architecture
from server.encoding.packed import WEIGHTS_SUFFIX
from server.encoding.tensors import read_header


def save_packed(model: onnx.ModelProto, path: Path, architecture: Architecture | None) -> None:
    """Writes `model` to `path` and its named weights beside it, with their `architecture` for the native encoder.

    Named weights are the constants whose name has a dot, as in `layers.0.qkv.weight`; the others are few and small,
    and stay in the graph. `model` is left without its weights.
    """
    weights = path.with_suffix(WEIGHTS_SUFFIX)
    metadata = {} if architecture is None else {ARCHITECTURE: msgspec.json.encode(architecture).decode()}
    named = {tensor.name: tensor for tensor in model.graph.initializer if "." in tensor.name}
    save_file({name: numpy_helper.to_array(tensor) for name, tensor in named.items()}, weights, metadata)
    header = read_header(weights)
    for name, place in header.tensors.items():
        first, end = place.data_offsets
        tensor = named[name]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (
            ("location", weights.name),
            ("offset", str(header.start + first)),
            ("length", str(end - first)),
        ):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString())
