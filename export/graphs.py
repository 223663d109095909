"""Chooses the layout, and builds the graphs: the one to serve, and its fp32 twin to measure it by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from export.cpu import Preset
from export.errors import ExportError, library_errors
from export.source import SourceModel
from server.encoding.manifest import Layout

Quantization = Literal["per-token", "dynamic", "none"]

LARGEST_GRAPH_BYTES = 2_000_000_000
"""ONNX files are protobuf messages, which end at 2 GiB."""

QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)


@dataclass(frozen=True)
class Graphs:
    """What was built.

    Attributes:
        layout: The layout of both.
        quantization: What the manifest says of the weights.
        fp32: The graph before quantization.
        served: The graph after it; the same file if there is none.
    """

    layout: Layout
    quantization: str
    fp32: Path
    served: Path


def build_graphs(
    source: SourceModel,
    directory: Path,
    *,
    quantization: Quantization,
    preset: Preset,
    progress: Callable[[str], None],
) -> Graphs:
    """Builds the graphs of a model in `directory`.

    `per-token` and `none` give the packed layout where its architecture is known. Otherwise, and for `dynamic`,
    optimum exports the padded one; `per-token` then becomes `dynamic`, and `progress` is told so.

    Raises:
        ExportError: optimum does not know the architecture, either.
    """
    if source.parameter_bytes > LARGEST_GRAPH_BYTES:
        size = source.parameter_bytes / 1e9
        raise ExportError(f"{source.name} has {size:.1f} GB in fp32; an ONNX file holds 2 GB, larger models not yet")
    if quantization != "dynamic":
        from export.packed.architectures import UnknownArchitecture

        try:
            return _packed(source, directory, quantization=quantization, progress=progress)
        except UnknownArchitecture as error:
            progress(f"{error}: going on with optimum's padded layout, dynamic INT8 unless none was asked for")
    return _padded(source, directory, quantize=quantization != "none", preset=preset, progress=progress)


def _packed(
    source: SourceModel, directory: Path, *, quantization: Quantization, progress: Callable[[str], None]
) -> Graphs:
    from export.packed.architectures import UnknownArchitecture, read_linear, read_weights
    from export.packed.graph import packed_graph
    from export.packed.native import native_architecture
    from export.packed.storage import save_packed

    if source.pooling == "other" or source.has_more_modules:
        raise UnknownArchitecture(
            "the packed layout knows only mean, cls and last-token pooling, and one linear layer behind"
        )
    weights = read_weights(source.transformer)
    dense = None if source.dense is None else read_linear(source.dense)
    paths = {}
    for quantize in (False, True) if quantization == "per-token" else (False,):
        progress("building the packed graph in " + ("per-token INT8" if quantize else "fp32"))
        paths[quantize] = directory / ("int8.onnx" if quantize else "fp32.onnx")
        with library_errors(f"the packed graph of {source.name} cannot be built"):
            architecture = native_architecture(weights, pooling=source.pooling, normalise=source.normalise)
            graph = packed_graph(
                weights,
                pooling=source.pooling,
                dense=dense,
                normalise=source.normalise,
                quantize=_everything if quantize else _nothing,
            )
            save_packed(graph, paths[quantize], architecture if quantize else None)
    name = "per-token-int8" if quantization == "per-token" else "none"
    return Graphs("packed", name, fp32=paths[False], served=paths[quantization == "per-token"])


def _everything(name: str) -> bool:
    return True


def _nothing(name: str) -> bool:
    return False


def _padded(
    source: SourceModel, directory: Path, *, quantize: bool, preset: Preset, progress: Callable[[str], None]
) -> Graphs:
    from export.padded.graph import export_graph
    from export.padded.quantize import quantize_dynamic

    progress("exporting the graph")
    fp32 = export_graph(source, directory / "fp32")
    if not quantize:
        return Graphs("padded", "none", fp32=fp32, served=fp32)
    progress(f"quantizing it to dynamic INT8 for {preset}")
    int8 = directory / "int8.onnx"
    quantize_dynamic(fp32, int8, preset=preset)
    return Graphs("padded", f"dynamic-int8/{preset}", fp32=fp32, served=int8)
