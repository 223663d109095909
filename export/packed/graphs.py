"""The packed graphs of a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path

from export.errors import library_errors
from export.packed.architectures import UnknownArchitecture, read_linear, read_weights
from export.packed.graph import packed_graph
from export.packed.moments import measure_moments
from export.packed.native import native_architecture
from export.packed.rounding import Rounding
from export.packed.storage import save_packed
from export.recipe import Recipe
from export.source import SourceModel
from server.encoding.manifest import Layout
from server.encoding.tower import MODEL_FILE


class PackedGraphs:
    """Implements `export.graphs.Graphs`."""

    layout: Layout = "packed"

    def __init__(self, source: SourceModel, directory: Path, recipe: Recipe) -> None:
        """Reads the weights, writes the fp32 graph to `directory` and measures the inputs of its products.

        Raises:
            UnknownArchitecture: The packed layout does not support the model.
            ExportError: A library fails.
        """
        if source.pooling == "other" or source.has_more_modules:
            raise UnknownArchitecture(
                "the packed layout supports only mean, cls and last-token pooling, and one linear layer after it"
            )
        self._source = source
        self._weights = read_weights(source.transformer)
        self._dense = None if source.dense is None else read_linear(source.dense)
        self.names: list[str] = []
        self._rounding = Rounding()
        if recipe.quantization == "none":
            self.quantization = "none"
            self.fp32 = self._write(directory, lambda name: False)
            self._trim()
            return
        self.quantization = "per-token-int8"
        self.fp32 = self._write(directory, self._note)
        with library_errors(f"the inputs of the products of {source.name} cannot be measured"):
            moments = measure_moments(self.fp32, source.token_ids(recipe.calibration))
        self._rounding = Rounding(moments)
        self._trim()

    def quantize(self, directory: Path, excluded: Collection[str]) -> Path:
        """Writes the served graph; see `export.graphs.Graphs`."""
        if not self.names:
            return self.fp32 if self._source.trimmed is None else self._write(directory, lambda name: False)
        return self._write(directory, lambda name: name not in excluded, whole=not excluded)

    def _trim(self) -> None:
        """Keeps only the rows of the bundle's vocabulary in the token embeddings of the served graph.

        This is the last step: calibration texts use the whole vocabulary, so trimming does not change the rounding.
        """
        if self._source.trimmed is not None:
            words = self._weights.words[self._source.trimmed.kept_ids]
            self._weights = dataclasses.replace(self._weights, words=words)

    def _note(self, name: str) -> bool:
        """Records the name of a product that can be quantized, and returns False."""
        self.names.append(name)
        return False

    def _write(self, directory: Path, quantize: Callable[[str], bool], *, whole: bool = False) -> Path:
        """Writes a graph; `whole` means that all products are INT8, which the native encoder needs."""
        source, architecture = self._source, None
        if whole and self._dense is None:
            architecture = native_architecture(self._weights, pooling=source.pooling, normalise=source.normalise)
        with library_errors(f"the packed graph of {source.name} cannot be built"):
            graph = packed_graph(
                self._weights,
                pooling=source.pooling,
                dense=self._dense,
                normalise=source.normalise,
                quantize=quantize,
                rounding=self._rounding,
            )
            save_packed(graph, directory / MODEL_FILE, architecture)
        return directory / MODEL_FILE
