"""Writes the generated blocks of the documents: `make docs`. A test fails while they are out of date."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from export.quality.gate import threshold_flags
from loadtest.analysis.figures import DISTRIBUTIONS, FIGURES
from loadtest.errors import EXIT_CODES
from loadtest.reports import comparison
from loadtest.reports.json_keys import KEYS
from loadtest.requests.placeholders import FUNCTIONS
from loadtest.results.record import COLUMNS
from server.errors import ChajaError, SettingsError, StartError
from server.metrics import Metrics
from server.rpc.errors import REASONS, ROW_OF
from server.rpc.server import METHODS
from server.setting_rows import setting_rows
from tools.error_advice import ADVICE

REPOSITORY = Path(__file__).parent.parent
DOCS = REPOSITORY / "docs"
SETTINGS, METRICS, ERRORS = DOCS / "settings.md", DOCS / "metrics.md", DOCS / "errors.md"
EXPORT, CLIENTS, LOADTEST = DOCS / "export.md", DOCS / "clients.md", DOCS / "loadtest-reference.md"


def with_tables(path: Path) -> str:
    """Returns a document's text with every generated block filled in."""
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
    lines = ["| flag | environment | default | effect |", "|---|---|---|---|"]
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
    metrics = Metrics(METHODS, reasons=REASONS)
    metrics.process.describe_model(name="", revision="", quantization="", encoder="")
    rows = []
    for family in metrics.registry.collect():
        if family.name.startswith(("chaja_", "grpc_")):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
            rows.append((name, family.type, labels, family.documentation))
    return rows


def errors_table() -> str:
    """Returns the errors of calls in Markdown: code, reason, when, and the advice to the caller."""
    lines = ["| code | reason | when | what the caller does |", "|---|---|---|---|"]
    for error, row in ROW_OF.items():
        lines.append(f"| `{row.code.name}` | `{row.reason}` | {summary_of(error)} | {ADVICE[error]} |")
    return "\n".join(lines)


def start_errors_table() -> str:
    """Returns the errors that keep a server from starting, in Markdown."""
    lines = ["| error | exit code | when |", "|---|---|---|"]
    for error in _subclasses(StartError):
        code = 2 if issubclass(error, SettingsError) else 1
        lines.append(f"| `{error.__name__}` | {code} | {summary_of(error)} |")
    return "\n".join(lines)


def summary_of(error: type[ChajaError]) -> str:
    """Returns the first paragraph of an error's docstring."""
    return (inspect.getdoc(error) or "").partition("\n\n")[0].replace("\n", " ")


def _subclasses(error: type[ChajaError]) -> list[type[ChajaError]]:
    return [each for child in error.__subclasses__() for each in (child, *_subclasses(child))]


def thresholds_table() -> str:
    """Returns the thresholds of an export in Markdown."""
    lines = ["| flag | default | threshold |", "|---|---|---|"]
    for name, default, help in threshold_flags():
        lines.append(f"| `--{name.replace('_', '-')}` | {default:g} | {help} |")
    return "\n".join(lines)


def figures_table() -> str:
    """Returns the figures that the load tester's objectives and assertions can name, in Markdown."""
    lines = ["| figure | unit | meaning |", "|---|---|---|"]
    for name, (meaning, _) in DISTRIBUTIONS.items():
        dot = f"{name}." if name else ""
        lines.append(f"| `{dot}p99` (any percentile), `{dot}mean`, `{dot}max` | us, ms or s | {meaning} |")
    for name, figure in FIGURES.items():
        lines.append(f"| `{name}` | {'% or a share' if figure.unit == 'share' else 'none'} | {figure.meaning} |")
    return "\n".join(lines)


def functions_table() -> str:
    """Returns the functions of the load tester's placeholders, in Markdown."""
    rows = [f"| `{{{{{function.usage}}}}}` | {function.meaning} |" for function in FUNCTIONS.values()]
    return "\n".join(["| placeholder | value |", "|---|---|", *rows])


def exit_codes_table() -> str:
    """Returns the load tester's exit codes in Markdown."""
    rows = [f"| {code.value} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    return "\n".join(["| exit code | meaning |", "|---|---|", *rows])


def columns_table() -> str:
    """Returns the columns of a results file, in Markdown."""
    lines = ["| column | type | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {meaning} |" for name, kind, meaning in COLUMNS]
    return "\n".join(lines)


def json_keys_table(described: Sequence[tuple[str, str]]) -> str:
    """Returns keys of the load tester's JSON with their meaning, in Markdown."""
    return "\n".join(["| key | meaning |", "|---|---|", *(f"| {keys} | {meaning} |" for keys, meaning in described)])


def flags_text() -> str:
    """Returns the help of every command of the load tester."""
    environment = {**os.environ, "COLUMNS": "120"}
    parts = []
    for name in ("attack", "report", "plot", "compare", "slo", "worker"):
        command = [sys.executable, "-m", "loadtest", name, "--help"]
        shown = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
        parts.append(f"### {name}\n\n```text\n{shown.stdout.rstrip()}\n```")
    return "\n\n".join(parts)


def file_block(path: str, language: str) -> str:
    """Returns a file of the repository as a fenced block of code."""
    return f"```{language}\n{(REPOSITORY / path).read_text(encoding='utf-8').rstrip()}\n```"


DOCUMENTS: dict[Path, dict[str, Callable[[], str]]] = {
    SETTINGS: {"settings": settings_table},
    METRICS: {"metrics": metrics_table},
    ERRORS: {"errors": errors_table, "start-errors": start_errors_table},
    EXPORT: {"thresholds": thresholds_table},
    CLIENTS: {
        "service-config": partial(file_block, "protos/chaja/service_config.json", "json"),
        "node": partial(file_block, "examples/node/search.mjs", "js"),
        "go": partial(file_block, "examples/go/main.go", "go"),
        "java": partial(file_block, "examples/java/Search.java", "java"),
    },
    LOADTEST: {
        "exit-codes": exit_codes_table,
        "figures": figures_table,
        "functions": functions_table,
        "json-keys": partial(json_keys_table, KEYS),
        "compare-keys": partial(json_keys_table, comparison.KEYS),
        "columns": columns_table,
        "flags": flags_text,
    },
}


if __name__ == "__main__":
    for document in DOCUMENTS:
        document.write_text(with_tables(document), encoding="utf-8")
