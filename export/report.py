"""The report of an export, as the lines of a table."""

from __future__ import annotations

from server.encoding.manifest import Manifest, TowerManifest
from server.encoding.tokenizer import TextKind


def report_rows(manifest: Manifest) -> list[tuple[str, str]]:
    """Returns what the export measured and decided, as (name, value)."""
    report = manifest.report
    served, fp32 = report.served_texts_per_second, report.fp32_texts_per_second
    return [
        ("model", manifest.name),
        ("revision", manifest.revision),
        ("vectors", f"{manifest.dimension} dimensions, {manifest.similarity}"),
        ("prefixes", f"query {manifest.query_prefix!r}, document {manifest.document_prefix!r}"),
        *((_tower_name(manifest, kind), _tower(tower)) for kind, tower in manifest.towers.items()),
        ("size", f"{report.served_bytes / 1e6:.1f} MB, fp32 {report.fp32_bytes / 1e6:.1f} MB"),
        (
            "cosine to fp32",
            f"mean {report.cosine_mean:.4f}, min {report.cosine_min:.4f} over {report.sentences} sentences",
        ),
        (
            "speed, one thread",
            f"{served:.0f} texts a second, fp32 {fp32:.0f}: {served / fp32:.1f} times",
        ),
        ("measured on", report.cpu),
        ("versions", ", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items()))),
    ]


def _tower_name(manifest: Manifest, kind: TextKind) -> str:
    return f"{kind.value} tower" if len(manifest.towers) > 1 else "tower"


def _tower(tower: TowerManifest) -> str:
    source = f"{tower.source.model}, licence {tower.source.licence or 'unknown'}"
    graph = f"{tower.quantization}, {tower.layout} layout, {tower.pooling} pooling, at most {tower.max_tokens} tokens"
    return f"{source}; {graph}"
