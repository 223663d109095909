"""Writes the generated tables of the documents: `make docs`. A test fails while they are not up to date."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from loadtest.analysis.objective import DISTRIBUTIONS, FIGURES
from loadtest.results.record import COLUMNS
from server.metrics import Metrics
from server.rpc.server import METHODS
from server.settings import setting_rows

REPOSITORY = Path(__file__).parent.parent
README = REPOSITORY / "README.md"
LOADTEST = REPOSITORY / "docs/loadtest.md"


def with_tables(path: Path) -> str:
    """Returns a document's text with up-to-date generated blocks."""
    text = path.read_text(encoding="utf-8")
    for name, table in DOCUMENTS[path].items():
        start, end = f"<!-- {name}: written by make docs -->\n", f"<!-- end of {name} -->"
        before, opened, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not opened or not closed:
            raise ValueError(f"{path} has no block {start.strip()} … {end}")
        text = f"{before}{start}{table()}\n{end}{after}"
    return text


def settings_table() -> str:
    """Returns the settings in Markdown."""
    lines = ["| flag | environment | default | meaning |", "|---|---|---|---|"]
    for row in setting_rows():
        default = "required" if row.default is None else f"`{row.default}`" if row.default else "none"
        lines.append(f"| `{row.flag}` | `{row.variable}` | {default} | {row.help} |")
    return "\n".join(lines)


def metrics_table() -> str:
    """Returns our own metrics in Markdown."""
    lines = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for name, kind, labels, help in documented_metrics():
        lines.append(f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {help} |")
    return "\n".join(lines)


def documented_metrics() -> list[tuple[str, str, list[str], str]]:
    """Returns name, type, labels and help of each of our metrics, without those of the process."""
    metrics = Metrics(METHODS)
    metrics.describe_model(name="", revision="", quantization="", encoder="")
    rows = []
    for family in metrics.registry.collect():
        if family.name.startswith(("chaja_", "grpc_")):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
            rows.append((name, family.type, labels, family.documentation))
    return rows


def figures_table() -> str:
    """Returns the figures that the load tester's objectives and assertions can name, in Markdown."""
    lines = ["| figure | unit | meaning |", "|---|---|---|"]
    for name, (meaning, _) in DISTRIBUTIONS.items():
        dot = f"{name}." if name else ""
        lines.append(f"| `{dot}p99` (any percentile), `{dot}mean`, `{dot}max` | us, ms or s | {meaning} |")
    for name, figure in FIGURES.items():
        lines.append(f"| `{name}` | {'% or a share' if figure.unit == 'share' else 'none'} | {figure.meaning} |")
    return "\n".join(lines)


def columns_table() -> str:
    """Returns the columns of a results file, in Markdown."""
    lines = ["| column | type | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {meaning} |" for name, kind, meaning in COLUMNS]
    return "\n".join(lines)


def flags_text() -> str:
    """Returns the help of every verb of the load tester."""
    environment = {**os.environ, "COLUMNS": "120"}
    parts = []
    for verb in ("attack", "report", "plot", "compare", "slo"):
        command = [sys.executable, "-m", "loadtest", verb, "--help"]
        shown = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
        parts.append(f"### {verb}\n\n```text\n{shown.stdout.rstrip()}\n```")
    return "\n\n".join(parts)


DOCUMENTS: dict[Path, dict[str, Callable[[], str]]] = {
    README: {"settings": settings_table, "metrics": metrics_table},
    LOADTEST: {"figures": figures_table, "columns": columns_table, "flags": flags_text},
}


if __name__ == "__main__":
    for document in DOCUMENTS:
        document.write_text(with_tables(document), encoding="utf-8")
