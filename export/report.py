"""The report of an export: its measurements, and the rows of its table."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from export.quality.gate import Quality
from server.encoding.center import CENTER_FILE
from server.encoding.kind import Side
from server.encoding.manifest import Manifest, TowerManifest
from server.errors import BundleError


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """The number of tokens in a trimmed vocabulary, and in the whole one."""

    kept: int
    total: int = msgspec.field(name="pieces")  # codespell:ignore: bundles have this name.


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The measurements and decisions of an export.

    `encoder` is the encoder that ran the model, `native` or `onnxruntime`. `excluded` names the products in fp32,
    `missed` the thresholds that `--force` ignored. `vocabularies` holds the trimmed vocabularies by tower.
    """

    cpu: str
    encoder: str
    fp32_bytes: int
    served_bytes: int
    quality: Quality
    excluded: list[str]
    missed: list[str]
    vocabularies: dict[Side, Vocabulary] = {}


def report_of(manifest: Manifest) -> Report:
    """Returns the report of a bundle.

    Raises:
        BundleError: The report was written by another version, or changed.
    """
    try:
        return msgspec.convert(manifest.report, Report, str_keys=True)
    except msgspec.ValidationError as error:
        raise BundleError(f"the bundle's report is of another version: {error}; export the model again") from None


def report_rows(manifest: Manifest) -> list[tuple[str, str]]:
    """Returns the rows of the report as (name, value)."""
    report = report_of(manifest)
    weights = manifest.weights
    centered = any(f"{side.value}/{CENTER_FILE}" in manifest.files for side in manifest.towers)
    return [
        ("model", manifest.name),
        ("revision", manifest.revision),
        ("vectors", f"{manifest.dimension} dimensions, {manifest.similarity}"),
        ("prefixes", ", ".join(f"{kind.value} {prefix!r}" for kind, prefix in manifest.prefixes.by_kind().items())),
        ("weights", f"title {weights.title:g}, text {weights.text:g}, example {weights.example:g}"),
        ("center", "subtracted from every vector" if centered else "not subtracted"),
        *((_tower_name(manifest, side), _tower(tower)) for side, tower in manifest.towers.items()),
        *([("languages", _languages(manifest.languages, report))] if manifest.languages else []),
        *([("left in fp32", ", ".join(report.excluded))] if report.excluded else []),
        ("size", f"{report.served_bytes / 1e6:.1f} MB, fp32 {report.fp32_bytes / 1e6:.1f} MB"),
        *quality_rows(report.quality),
        *([("forced", "although the bundle missed " + "; ".join(report.missed))] if report.missed else []),
        ("measured on", f"{report.cpu}, with the encoder {report.encoder}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items()))),
    ]


def quality_rows(quality: Quality) -> list[tuple[str, str]]:
    """Returns the quality measurements as (name, value)."""
    close, long = quality.closeness, quality.long_texts
    same, found = quality.invariance, quality.retrieval
    recalls = ", ".join(
        f"R@{depth} {found.recall[depth]:.3f} ({found.recall_fp32[depth]:.3f})" for depth in found.recall
    )
    whole = ", ".join(f"R@{depth} {recall:.3f}" for depth, recall in (found.recall_whole or {}).items())
    return [
        (
            "cosine to fp32",
            f"mean {close.cosine_mean:.4f}, p1 {close.cosine_p1:.4f}, min {close.cosine_min:.4f} "
            f"over {close.texts} texts",
        ),
        (
            "cosine, long texts",
            f"mean {long.cosine_mean:.4f}, min {long.cosine_min:.4f} over {long.texts} texts of up to "
            f"{quality.longest_tokens} tokens",
        ),
        (
            "alone and in batches",
            f"{same.identical_share:.1%} bit-identical, worst cosine {same.worst_cosine:.7f}",
        ),
        ("corpus", f"{found.corpus}: {found.queries} queries, {found.documents} documents"),
        ("top-10 overlap", f"{found.top10_overlap:.3f} with fp32"),
        ("recall (fp32)", recalls),
        *([("recall, whole vectors", whole)] if whole else []),
    ]


def _languages(languages: Sequence[str], report: Report) -> str:
    kept = ", ".join(f"{each.kept:,} of {each.total:,}" for each in report.vocabularies.values())
    return (
        f"{', '.join(languages)}: {kept} vocabulary tokens kept; text in other scripts is read as single characters or "
        "not at all, and is rarely found"
    )


def _tower_name(manifest: Manifest, side: Side) -> str:
    return f"{side.value} tower" if len(manifest.towers) > 1 else "tower"


def _tower(tower: TowerManifest) -> str:
    source = f"{tower.source.model}, licence {tower.source.licence or 'unknown'}"
    graph = f"{tower.quantization}, {tower.layout} layout, {tower.pooling} pooling, at most {tower.max_tokens} tokens"
    return f"{source}; {graph}"
