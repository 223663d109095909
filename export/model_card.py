"""The model card, which is the bundle's README."""

from __future__ import annotations

from export.report import report_rows
from server.encoding.manifest import Manifest
from server.programs import EXPORTER, SERVER


def model_card(manifest: Manifest) -> str:
    """Returns the model card of a bundle in Markdown, with the front matter that model hubs read."""
    sources = [tower.source for tower in manifest.towers.values()]
    licences = {source.licence for source in sources}
    licence = licences.pop() if len(licences) == 1 else None
    front_matter = f"license: {licence}\n" if licence else ""
    origin = " and ".join(source.model for source in sources)
    rows = "\n".join(f"| {name} | {value} |" for name, value in report_rows(manifest))
    return f"""---
{front_matter}library_name: onnx
pipeline_tag: sentence-similarity
---
# {manifest.name} for Chaja

A bundle for `{SERVER} --bundle`, made by `{EXPORTER}` from
{origin}. The licence of the original applies.

| | |
|---|---|
{rows}

`manifest.json` describes the bundle. `golden.json` holds texts with their fp32
vectors; the server verifies its own vectors with them before it serves.
"""
