"""Writes padded graphs: in one file, or with the constants beside it, because an ONNX message holds at most 2 GiB."""

from __future__ import annotations

from pathlib import Path

import onnx

from server.encoding.tower import DATA_FILE

LARGEST_FILE_BYTES = 2_000_000_000
"""Most bytes of constants in the file of a graph."""

SMALLEST_BYTES = 1024
"""Constants of fewer bytes stay in the graph: shapes are read from there."""


def save_graph(model: onnx.ModelProto, path: Path) -> None:
    """Writes a graph to `path`, which replaces an older one; large constants go to `DATA_FILE` in the same folder."""
    data = path.with_name(DATA_FILE)
    data.unlink(missing_ok=True)  # The library would append to it.
    large = sum(len(constant.raw_data) for constant in model.graph.initializer) > LARGEST_FILE_BYTES
    onnx.save(model, str(path), save_as_external_data=large, location=DATA_FILE, size_threshold=SMALLEST_BYTES)


def has_data_file(path: Path) -> bool:
    """Returns whether the constants of a graph are beside it."""
    return path.with_name(DATA_FILE).is_file()
