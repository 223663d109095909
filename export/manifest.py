"""Writes the manifest of a bundle, and the golden vectors that verify it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from export.candidate import Candidate
from export.graphs import Graphs
from export.quality.comparison import Comparison
from export.report import Report
from export.source import SourceModel
from export.towers import SourceTowers
from server.encoding.golden import GOLDEN_FILE, GoldenText, cosines
from server.encoding.kind import Side
from server.encoding.manifest import (
    MANIFEST_FILE,
    SCHEMA_VERSION,
    Manifest,
    Prefixes,
    Source,
    TowerManifest,
    Weights,
)
from server.files import file_digest

LIBRARIES = [
    "onnx",
    "onnxruntime",
    "optimum",
    "optimum-onnx",
    "sentence-transformers",
    "tokenizers",
    "torch",
    "transformers",
]

GOLDEN_MARGIN = 0.01
"""Cosine that a golden vector may lose on the server's CPU, compared with this machine."""


def write_manifest(
    directory: Path,
    source: SourceTowers,
    *,
    graphs: Mapping[Side, Graphs],
    weights: Weights,
    comparison: Comparison,
    served: Candidate,
    report: Report,
) -> Manifest:
    """Writes the golden vectors and the manifest to a bundle that has all its other files; returns the manifest.

    Args:
        directory: The bundle.
        source: The original.
        graphs: The graphs of each tower.
        weights: The factors for the similarities of each field.
        comparison: Has the golden texts and the original's vectors of them.
        served: Encodes as the server will.
        report: The report of the export.
    """
    reference = comparison.reference
    golden = [
        GoldenText(text=text, kind=kind, vector=[round(float(value), 7) for value in vector])
        for (text, kind), vector in zip(comparison.golden, reference, strict=True)
    ]
    (directory / GOLDEN_FILE).write_bytes(msgspec.json.encode(golden))
    floor = float(np.nan_to_num(cosines(served.encode(comparison.golden), reference)).min()) - GOLDEN_MARGIN
    files = sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    towers = {side: _describe_tower(model, graphs[side]) for side, model in source.models.items()}
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=source.query.name,
        revision="",
        dimension=source.query.dimension,
        similarity=source.query.similarity,
        prefixes=Prefixes(**{kind.value: prefix for kind, prefix in source.prefixes.items()}),
        weights=weights,
        title_separator=source.model(Side.DOCUMENT).title_separator,
        languages=None if source.query.trimmed is None else list(source.query.trimmed.languages),
        query=towers[Side.QUERY],
        document=towers.get(Side.DOCUMENT),
        golden_cosine_floor=round(max(-1.0, floor), 4),
        versions={name: importlib.metadata.version(name) for name in LIBRARIES},
        files={name: file_digest(directory / name) for name in files},
        report=msgspec.to_builtins(report, str_keys=True),
    )
    manifest = manifest.sealed()
    (directory / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    return manifest


def _describe_tower(model: SourceModel, graphs: Graphs) -> TowerManifest:
    return TowerManifest(
        pooling=model.pooling,
        normalise=model.normalise,
        max_tokens=model.max_tokens,
        layout=graphs.layout,
        quantization=graphs.quantization,
        source=Source(model=model.origin, licence=model.licence),
    )
