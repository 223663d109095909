"""The padded graphs of a model."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from export.padded.dynamic import quantize_dynamic
from export.padded.graph import export_graph
from export.padded.products import product_names
from export.padded.static import quantize_static
from export.padded.table import trim_table
from export.recipe import Recipe
from export.source import SourceModel
from server.encoding.manifest import Layout
from server.encoding.tower import MODEL_FILE


class PaddedGraphs:
    """Implements `export.graphs.Graphs`. The quantization `per-token` becomes `dynamic`."""

    layout: Layout = "padded"

    def __init__(self, source: SourceModel, directory: Path, recipe: Recipe) -> None:
        """Exports the fp32 graph to `directory`.

        Raises:
            ExportError: optimum does not support the architecture.
        """
        self._source = source
        self._recipe = recipe
        self.fp32 = export_graph(source, directory)
        self.names: list[str] = [] if recipe.quantization == "none" else product_names(self.fp32)
        self._ranges = directory / "ranges.json"
        self.quantization = {"none": "none", "static": f"static-int8/{recipe.preset}"}.get(
            recipe.quantization, f"dynamic-int8/{recipe.preset}"
        )

    def quantize(self, directory: Path, excluded: Collection[str]) -> Path:
        """Writes the served graph; see `export.graphs.Graphs`."""
        trimmed = self._source.trimmed
        if not self.names:
            if trimmed is None:
                return self.fp32
            return trim_table(self.fp32, directory / MODEL_FILE, trimmed.kept_ids)
        served, left_out = directory / MODEL_FILE, sorted(excluded)
        if self._recipe.quantization == "static":
            token_ids = self._source.token_ids(self._recipe.calibration)
            quantize_static(
                self.fp32,
                served,
                preset=self._recipe.preset,
                token_ids=token_ids,
                ranges=self._ranges,
                exclude=left_out,
            )
        else:
            quantize_dynamic(self.fp32, served, preset=self._recipe.preset, exclude=left_out)
        # Last, so that measurements and rounding do not depend on it.
        return served if trimmed is None else trim_table(served, served, trimmed.kept_ids)
