"""Measures the recall of queries as people type them: `make bench-typed`.

A server with the sample's catalogue and synonyms answers every query of the set in HYBRID and DENSE. The queries are
printed by kind and half; "as meant" is R@1 of the same queries without slips. Then come queries without slips: the
sample's, and those of each `--data DIR` in BEIR's layout. Flags after `--` go to the servers. The exit code is 1 if the
half that judges misses a target.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnxruntime

from benchmarks.serving.setting import CATALOGUE, PATIENT, QUERIES, Setting
from benchmarks.typed.clean import beir_set, clean_rows, sample_set
from benchmarks.typed.kinds import least_recall
from benchmarks.typed.measuring import DEPTHS, MODES, Row, search_all, typed_rows
from benchmarks.typed.queries import typed_queries
from chaja import __version__
from export.errors import ExportError
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY, ServerEnded
from server.catalogue.catalogue import load_catalogue
from server.closed_pipe import until_closed_pipe
from server.errors import StartError

COLUMNS = [
    *(f"{mode} R@{depth}" for mode in MODES for depth in DEPTHS),
    *(f"{mode} {figure}" for figure in ("as meant", "target") for mode in MODES),
]
"""The figures of a line. "as meant" and the targets are of R@1."""


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    options = _parse()
    try:
        return _run(options)
    except (ExportError, StartError, ServerEnded) as error:
        print(f"bench-typed: error: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    environment = describe_environment(" ".join(sys.argv)) | {
        "chaja": __version__,
        "onnxruntime": onnxruntime.__version__,
    }
    print(environment)
    rows = measure(options.bundle, options.data or [], options.flags)
    missed = missed_targets(rows)
    if options.json:
        content = {"environment": environment, "rows": [row._asdict() for row in rows], "missed": missed}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print("\n" + ("targets missed:\n" + "\n".join(missed) if missed else "every target was reached"))
    return 1 if missed else 0


def measure(bundle: Path, data: Sequence[Path], flags: Sequence[str] = ()) -> list[Row]:
    """Prints and returns the recall of the typed queries and of each set of queries without slips."""
    setting = Setting(bundle=bundle)
    documents = load_catalogue(CATALOGUE)
    queries = typed_queries(documents)
    sample = sample_set(CATALOGUE, QUERIES, documents)
    synonyms = ("--synonyms", str(CATALOGUE.with_name("synonyms.txt")))
    with setting.server(*PATIENT, *synonyms, *flags) as server:
        texts = [text for each in queries for text in (each.text, each.meant)]
        found = search_all(server.address, [*texts, *(each.query for each in sample.queries)])
    typed = typed_rows(queries, found)
    _print(f"{len(queries)} typed queries, {len(documents)} documents", typed)
    clean = clean_rows(sample, found)
    with tempfile.TemporaryDirectory() as folder:
        for directory in data:
            chosen = beir_set(directory, folder=Path(folder))
            with setting.server("--catalogue", str(chosen.catalogue), *PATIENT, *flags) as server:
                clean += clean_rows(chosen, search_all(server.address, [each.query for each in chosen.queries]))
    _print("queries without slips", clean)
    return typed + clean


def missed_targets(rows: Sequence[Row]) -> list[str]:
    """Returns the targets that the half that judges misses, one sentence each."""
    return [
        f"{row.kind}: {row.mode} R@1 is {row.recall[1]:.3f}, below {least:.3f}"
        for row in rows
        if row.half == "judges" and (least := _target(row)) is not None and row.recall[1] < least
    ]


def _target(row: Row) -> float | None:
    return None if row.meant_recall is None else least_recall(row.kind, meant_recall=row.meant_recall)


def _print(title: str, rows: Sequence[Row]) -> None:
    """Prints one line for each kind and half, with the modes side by side."""
    print(f"\n## {title}\n\n| kind | half | queries | ambiguous | {' | '.join(COLUMNS)} |")
    print("|---|---|---|---|" + "---|" * len(COLUMNS))
    for kind, half in dict.fromkeys((row.kind, row.half) for row in rows):
        line = [row for row in rows if (row.kind, row.half) == (kind, half)]
        recall = [row.recall[depth] for row in line for depth in DEPTHS]
        figures = [*recall, *(row.meant_recall for row in line), *(_target(row) for row in line)]
        printed = " | ".join("" if each is None else f"{each:.3f}" for each in figures)
        print(f"| {kind} | {half} | {line[0].queries} | {line[0].ambiguous} | {printed} |", flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.typed", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR")
    data = "also measure a set in BEIR's layout; repeatable"
    parser.add_argument("--data", type=Path, action="append", metavar="DIR", help=data)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to this file")
    parser.add_argument("flags", nargs="*", metavar="FLAG", help="flag of the servers, after --")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
