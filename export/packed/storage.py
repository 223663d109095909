"""Writes a packed graph: the nodes as ONNX, and the weights in a safetensors file next to it.

ONNX Runtime reads the weights as the graph's external data. The server's native encoder reads them by name, and the
architecture from the metadata. So both use one copy of the weights.
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
    """Writes `model` to `path` and its named weights next to it, with their `architecture` for the native encoder.

    Named weights are the constants whose name has a dot, as in `layers.0.qkv.weight`. The others are few and small,
    and stay in the graph. This removes the named weights from `model`.
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
