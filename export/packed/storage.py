"""Writes a packed graph: the nodes as ONNX, and the weights in a safetensors file next to it.

ONNX Runtime reads the weights as the graph's external data. The server's native encoder reads them by name, and the
architecture from the metadata. So both use one copy of the weights.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from onnx import TensorProto
from safetensors.numpy import save_file

from export.packed.builder import BuiltGraph
from server.encoding.native.architecture import ARCHITECTURE, Architecture
from server.encoding.packed import WEIGHTS_SUFFIX
from server.encoding.tensors import read_header


def save_packed(graph: BuiltGraph, path: Path, architecture: Architecture | None) -> None:
    """Writes a graph to `path` and its weights next to it, with their `architecture` for the native encoder."""
    weights = path.with_suffix(WEIGHTS_SUFFIX)
    metadata = {} if architecture is None else {ARCHITECTURE: msgspec.json.encode(architecture).decode()}
    save_file(graph.weights, weights, metadata)
    header = read_header(weights)
    for tensor in graph.model.graph.initializer:
        if tensor.name not in header.tensors:
            continue
        first, end = header.tensors[tensor.name].data_offsets
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (
            ("location", weights.name),
            ("offset", str(header.start + first)),
            ("length", str(end - first)),
        ):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
    path.write_bytes(graph.model.SerializeToString())
