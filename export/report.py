"""The report of an export, as the lines of a table."""

from __future__ import annotations

from server.encoding.manifest import Manifest


def report_rows(manifest: Manifest) -> list[tuple[str, str]]:
    """Returns what the export measured and decided, as (name, value)."""
    report = manifest.report
    served, fp32 = report.served_texts_per_second, report.fp32_texts_per_second
    return [
        ("model", f"{manifest.name} ({manifest.source.model}, licence {manifest.source.licence or 'unknown'})"),
        ("revision", manifest.revision),
        ("vectors", f"{manifest.dimension} dimensions, {manifest.similarity}, {manifest.pooling} pooling"),
        ("max tokens", str(manifest.max_tokens)),
        ("prefixes", f"query {manifest.query_prefix!r}, document {manifest.document_prefix!r}"),
        ("quantization", f"{manifest.quantization}, {manifest.layout} layout"),
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
