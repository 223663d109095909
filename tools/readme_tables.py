"""Writes the generated tables of the README: `make docs`. A test fails while they are not up to date."""

from __future__ import annotations

from pathlib import Path

from server.metrics import Metrics
from server.rpc.server import METHODS
from server.settings import setting_rows

README = Path(__file__).parent.parent / "README.md"


def with_tables(text: str) -> str:
    """Returns the README's text with every generated block filled in anew."""
    for name, table in (("settings", settings_table()), ("metrics", metrics_table())):
        start, end = f"<!-- {name}: written by make docs -->\n", f"<!-- end of {name} -->"
        before, opened, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not opened or not closed:
            raise ValueError(f"README.md has no block {start.strip()} … {end}")
        text = f"{before}{start}{table}\n{end}{after}"
    return text


def settings_table() -> str:
    """Returns the settings in Markdown."""
    lines = ["| flag | environment | default | what it decides |", "|---|---|---|---|"]
    for row in setting_rows():
        default = "required" if row.default is None else f"`{row.default}`"
        lines.append(f"| `{row.flag}` | `{row.variable}` | {default} | {row.help} |")
    return "\n".join(lines)


def metrics_table() -> str:
    """Returns our own metrics in Markdown."""
    lines = ["| metric | type | labels | what it tells |", "|---|---|---|---|"]
    for name, kind, labels, help in documented_metrics():
        lines.append(f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {help} |")
    return "\n".join(lines)


def documented_metrics() -> list[tuple[str, str, list[str], str]]:
    """Returns name, type, labels and help of each of our metrics, those of the process aside."""
    metrics = Metrics(METHODS)
    metrics.model_info.labels("", "", "", "")
    rows = []
    for family in metrics.registry.collect():
        if family.name.startswith(("chaja_", "grpc_")):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
            rows.append((name, family.type, labels, family.documentation))
    return rows


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
