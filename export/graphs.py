"""The graphs of one model: in fp32 to measure by, and quantized to serve. Chooses the layout."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from export.errors import ExportError
from export.recipe import Recipe
from export.source import SourceModel
from server.encoding.manifest import Layout

LARGEST_GRAPH_BYTES = 2_000_000_000
"""ONNX files are protobuf messages, which end at 2 GiB."""


class Graphs(Protocol):
    """The graphs of a model.

    Attributes:
        layout: The layout of all of them.
        quantization: What the manifest says of the weights.
        fp32: The graph before quantization.
        names: What can be left out of quantization; nothing if there is none.
    """

    layout: Layout
    quantization: str
    fp32: Path
    names: list[str]

    def quantize(self, directory: Path, excluded: Collection[str]) -> Path:
        """Writes the graph to serve to an empty directory, with some products left in fp32; returns its path.

        Raises:
            ExportError: A library fails on it.
        """


def open_graphs(source: SourceModel, directory: Path, recipe: Recipe, *, progress: Callable[[str], None]) -> Graphs:
    """Builds the fp32 graph of a model in `directory`.

    `per-token` and `none` give the packed layout where its architecture is known. Otherwise, and for `dynamic` and
    `static`, optimum exports the padded one; `per-token` then becomes `dynamic`, and `progress` is told so.

    Raises:
        ExportError: optimum does not know the architecture, either.
    """
    if source.parameter_bytes > LARGEST_GRAPH_BYTES:
        size = source.parameter_bytes / 1e9
        raise ExportError(f"{source.name} has {size:.1f} GB in fp32; an ONNX file holds 2 GB, larger models not yet")
    if recipe.quantization in ("per-token", "none"):
        from export.packed.architectures import UnknownArchitecture
        from export.packed.graphs import PackedGraphs

        progress("building the packed graph and measuring what its products multiply")
        try:
            return PackedGraphs(source, directory, recipe)
        except UnknownArchitecture as error:
            progress(f"{error}: going on with optimum's padded layout, dynamic INT8 unless none was asked for")
    from export.padded.graphs import PaddedGraphs

    progress("exporting the graph by optimum")
    return PaddedGraphs(source, directory, recipe)
