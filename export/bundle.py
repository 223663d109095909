"""Writes a bundle: all of it or nothing."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from export.cpu import Preset
from export.graphs import Graphs, Quantization, build_graphs
from export.measure import measure
from export.model_card import model_card
from export.sentences import GOLDEN_TEXTS
from export.source import SourceModel
from export.staging import CARD_FILE, staged
from server.encoding.bundle import MODEL_FILE, TOKENIZER_FILE, Bundle
from server.encoding.golden import GOLDEN_FILE, GoldenText
from server.encoding.manifest import MANIFEST_FILE, SCHEMA_VERSION, Manifest, Source, file_digest
from server.encoding.tokenizer import TextKind, Tokenizer

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
"""How much farther than here a golden vector may lie from fp32 on the server's CPU."""


def write_bundle(
    source: SourceModel,
    out: Path,
    *,
    quantization: Quantization,
    preset: Preset,
    progress: Callable[[str], None],
) -> Manifest:
    """Builds, measures and verifies `source`, then puts the bundle at `out`.

    An older bundle at `out` is replaced; anything else there is left alone.

    Args:
        source: The model.
        out: The bundle's directory.
        quantization: What becomes of the weights.
        preset: The CPU's preset, for dynamic quantization.
        progress: Is told each step before it begins.

    Raises:
        ExportError: The model cannot be exported, or `out` is taken.
        BundleError: The bundle does not pass the server's own check.
    """
    with staged(out) as directory:
        scratch = directory.parent / "graphs"
        scratch.mkdir()
        (directory / MODEL_FILE).parent.mkdir(parents=True)
        graphs = build_graphs(source, scratch, quantization=quantization, preset=preset, progress=progress)
        shutil.copyfile(graphs.served, directory / MODEL_FILE)
        source.save_tokenizer(directory / TOKENIZER_FILE)
        progress("comparing it with the original")
        manifest = _describe(source, directory, graphs)
        (directory / CARD_FILE).write_text(model_card(manifest), encoding="utf-8")
        progress("verifying the bundle as the server will")
        Bundle(directory).verify()
    return manifest


def _describe(source: SourceModel, directory: Path, graphs: Graphs) -> Manifest:
    """Measures the graph and writes golden vectors and manifest."""
    tokenizer = Tokenizer(directory / TOKENIZER_FILE, prefixes=source.prefixes, max_tokens=source.max_tokens)
    reference = source.encode(GOLDEN_TEXTS)
    report, closeness = measure(
        graphs,
        token_ids=[tokens.ids for tokens in tokenizer.tokenize(GOLDEN_TEXTS)],
        reference=reference,
    )
    golden = [
        GoldenText(text=text, kind=kind, vector=[round(float(value), 7) for value in vector])
        for (text, kind), vector in zip(GOLDEN_TEXTS, reference, strict=True)
    ]
    (directory / GOLDEN_FILE).write_bytes(msgspec.json.encode(golden))
    files = [MODEL_FILE, TOKENIZER_FILE, GOLDEN_FILE]
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=source.name,
        revision="",
        dimension=source.dimension,
        similarity=source.similarity,
        pooling=source.pooling,
        normalise=source.normalise,
        query_prefix=source.prefixes[TextKind.QUERY],
        document_prefix=source.prefixes[TextKind.DOCUMENT],
        max_tokens=source.max_tokens,
        layout=graphs.layout,
        quantization=graphs.quantization,
        golden_cosine_floor=round(max(0.0, float(closeness.min()) - GOLDEN_MARGIN), 4),
        source=Source(model=source.origin, licence=source.licence),
        versions={name: importlib.metadata.version(name) for name in LIBRARIES},
        files={name: file_digest(directory / name) for name in files},
        report=report,
    )
    manifest = msgspec.structs.replace(manifest, revision=manifest.computed_revision())
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (directory / MANIFEST_FILE).write_bytes(data)
    return manifest
