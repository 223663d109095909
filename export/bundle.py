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
from export.towers import SourceTowers
from server.encoding.bundle import Bundle
from server.encoding.golden import GOLDEN_FILE, GoldenText
from server.encoding.manifest import MANIFEST_FILE, SCHEMA_VERSION, Manifest, Source, TowerManifest, file_digest
from server.encoding.tokenizer import TextKind, Tokenizer
from server.encoding.tower import MODEL_FILE, TOKENIZER_FILE

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
    source: SourceTowers,
    out: Path,
    *,
    quantization: Quantization,
    preset: Preset,
    progress: Callable[[str], None],
) -> Manifest:
    """Builds, measures and verifies `source`, then puts the bundle at `out`.

    An older bundle at `out` is replaced; anything else there is left alone.

    Args:
        source: The model, or the two of them.
        out: The bundle's directory.
        quantization: What becomes of the weights.
        preset: The CPU's preset, for dynamic quantization.
        progress: Is told each step before it begins.

    Raises:
        ExportError: The model cannot be exported, or `out` is taken.
        BundleError: The bundle does not pass the server's own check.
    """
    with staged(out) as directory:
        graphs = {}
        for kind, model in source.models.items():
            if len(source.models) > 1:
                progress(f"turning to the {kind.value} tower, {model.origin}")
            scratch = directory.parent / "graphs" / kind.value
            scratch.mkdir(parents=True)
            (directory / kind.value).mkdir()
            graphs[kind] = build_graphs(model, scratch, quantization=quantization, preset=preset, progress=progress)
            shutil.copyfile(graphs[kind].served, directory / kind.value / MODEL_FILE)
            model.save_tokenizer(directory / kind.value / TOKENIZER_FILE)
        progress("comparing it with the original")
        manifest = _describe(source, directory, graphs)
        (directory / CARD_FILE).write_text(model_card(manifest), encoding="utf-8")
        progress("verifying the bundle as the server will")
        Bundle(directory).verify()
    return manifest


def _describe(source: SourceTowers, directory: Path, graphs: dict[TextKind, Graphs]) -> Manifest:
    """Measures the graphs and writes golden vectors and manifest."""
    # The texts of one tower stand together.
    texts = {
        kind: [text for text in GOLDEN_TEXTS if source.model(text[1]) is model] for kind, model in source.models.items()
    }
    in_order = [text for each in texts.values() for text in each]
    reference = source.encode(in_order)
    report, closeness = measure(
        [(graphs[kind], _token_ids(source, directory, kind, texts[kind])) for kind in graphs], reference=reference
    )
    golden = [
        GoldenText(text=text, kind=kind, vector=[round(float(value), 7) for value in vector])
        for (text, kind), vector in zip(in_order, reference, strict=True)
    ]
    (directory / GOLDEN_FILE).write_bytes(msgspec.json.encode(golden))
    files = [GOLDEN_FILE, *(f"{kind.value}/{name}" for kind in graphs for name in (MODEL_FILE, TOKENIZER_FILE))]
    towers = {kind: _describe_tower(model, graphs[kind]) for kind, model in source.models.items()}
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=source.query.name,
        revision="",
        dimension=source.query.dimension,
        similarity=source.query.similarity,
        query_prefix=source.prefixes[TextKind.QUERY],
        document_prefix=source.prefixes[TextKind.DOCUMENT],
        title_separator=source.model(TextKind.DOCUMENT).title_separator,
        query=towers[TextKind.QUERY],
        document=towers.get(TextKind.DOCUMENT),
        golden_cosine_floor=round(max(0.0, float(closeness.min()) - GOLDEN_MARGIN), 4),
        versions={name: importlib.metadata.version(name) for name in LIBRARIES},
        files={name: file_digest(directory / name) for name in files},
        report=report,
    )
    manifest = msgspec.structs.replace(manifest, revision=manifest.computed_revision())
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (directory / MANIFEST_FILE).write_bytes(data)
    return manifest


def _token_ids(
    source: SourceTowers, directory: Path, kind: TextKind, texts: list[tuple[str, TextKind]]
) -> list[list[int]]:
    """Returns the tokens of texts as the tower made for a kind will see them."""
    path, max_tokens = directory / kind.value / TOKENIZER_FILE, source.model(kind).max_tokens
    tokenizer = Tokenizer(path, prefixes=source.prefixes, max_tokens=max_tokens)
    return [tokens.ids for tokens in tokenizer.tokenize(texts)]


def _describe_tower(model: SourceModel, graphs: Graphs) -> TowerManifest:
    return TowerManifest(
        pooling=model.pooling,
        normalise=model.normalise,
        max_tokens=model.max_tokens,
        layout=graphs.layout,
        quantization=graphs.quantization,
        source=Source(model=model.origin, licence=model.licence),
    )
