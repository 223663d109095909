"""The graphs of one model: fp32 as the reference, and quantized to serve. Chooses the layout."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from export.recipe import Recipe
from export.source import SourceModel
from server.encoding.manifest import Layout


class Graphs(Protocol):
    """The graphs of a model.

    Attributes:
        layout: The layout of the graphs.
        quantization: The quantization of the weights, for the manifest.
        fp32: The graph before quantization.
        names: Names of the products that can be quantized; empty without quantization.
    """

    layout: Layout
    quantization: str
    fp32: Path
    names: list[str]

    def quantize(self, directory: Path, excluded: Collection[str]) -> Path:
        """Writes the served graph to an empty directory, with the `excluded` products in fp32; returns its path.

        Raises:
            ExportError: A library fails.
        """


def open_graphs(source: SourceModel, directory: Path, recipe: Recipe, *, progress: Callable[[str], None]) -> Graphs:
    """Builds the fp32 graph of a model in `directory`.

    `per-token` and `none` give the packed layout if it supports the architecture. Otherwise, and for `dynamic` and
    `static`, optimum exports the padded layout; `per-token` then becomes `dynamic`, and `progress` reports it.

    Raises:
        ExportError: optimum does not support the architecture either.
    """
    if recipe.quantization in ("per-token", "none"):
        from export.packed.architectures import UnknownArchitecture
        from export.packed.graphs import PackedGraphs

        progress("building the packed graph and measuring the inputs of its products")
        try:
            return PackedGraphs(source, directory, recipe)
        except UnknownArchitecture as error:
            progress(f"{error}: using optimum's padded layout, and dynamic INT8 unless --quantization is none")
    from export.padded.graphs import PaddedGraphs

    progress("exporting the graph with optimum")
    return PaddedGraphs(source, directory, recipe)
