"""Measures the recall of queries as people type them: `make bench-typed`.

A server with the sample's catalogue and synonyms answers every query of the set in HYBRID and DENSE. The queries are
printed by kind and half; "as meant" is R@1 of the same queries without slips. Then come queries without slips: the
sample's, and those of each `--data DIR` in BEIR's layout, with `interpret` off and on. Flags after `--` go to the
servers. The exit code is 1 if the half that judges or a set of queries without slips misses a target.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnxruntime

from benchmarks.serving.setting import CATALOGUE, QUERIES, Setting
from benchmarks.typed.clean import CleanRow, beir_set, clean_rows, misread_row, sample_set
from benchmarks.typed.kinds import least_recall
from benchmarks.typed.measuring import DEPTHS, MODES, TIMEOUT_SECONDS, Row, search_all, typed_rows
from benchmarks.typed.queries import typed_queries
from chaja import __version__
from export.errors import ExportError
from loadtest.environment import describe_environment
from sample.server_process import REPOSITORY, ServerEnded
from server.catalogue.catalogue import load_catalogue
from server.closed_pipe import until_closed_pipe
from server.errors import StartError

PATIENT = ("--longest-wait-seconds", str(TIMEOUT_SECONDS))
"""Admits all queries of a stream, even on a busy machine."""

COLUMNS = [
    *(f"{mode} R@{depth}" for mode in MODES for depth in DEPTHS),
    *(f"{mode} {figure}" for figure in ("as meant", "target") for mode in MODES),
]
"""The figures of a line. "as meant" and the targets are of R@1."""

CLEAN_COLUMNS = [
    *("queries of", "catalogue of", "mode", "queries"),
    *(f"R@{depth} {setting}" for depth in DEPTHS for setting in ("as typed", "interpreted")),
    *("R@1 lost", "interpreted"),
]


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
    typed, clean = measure(options.bundle, options.data or [], options.flags)
    missed = missed_targets(typed, clean)
    if options.json:
        rows = {"typed": [row._asdict() for row in typed], "clean": [row._asdict() for row in clean]}
        content = {"environment": environment, **rows, "missed": missed}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print("\n" + ("targets missed:\n" + "\n".join(missed) if missed else "every target was reached"))
    return 1 if missed else 0


def measure(bundle: Path, data: Sequence[Path], flags: Sequence[str] = ()) -> tuple[list[Row], list[CleanRow]]:
    """Prints and returns the figures of the typed queries, and of each set of queries without slips."""
    setting = Setting(bundle=bundle)
    documents = load_catalogue(CATALOGUE)
    queries = typed_queries(documents)
    sample = sample_set(CATALOGUE, QUERIES, documents)
    synonyms = ("--synonyms", str(CATALOGUE.with_name("synonyms.txt")))
    with tempfile.TemporaryDirectory() as folder:
        sets = [beir_set(directory, folder=Path(folder)) for directory in data]
        with setting.server(*PATIENT, *synonyms, *flags) as server:
            found = search_all(server.address, [text for each in queries for text in (each.text, each.meant)])
            clean = clean_rows(sample, server.address)
            clean += [misread_row(each, server.address, catalogue=sample.name) for each in sets]
        for each in sets:
            with setting.server("--catalogue", str(each.catalogue), *PATIENT, *flags) as server:
                clean += clean_rows(each, server.address)
    typed = typed_rows(queries, found)
    _print(f"{len(queries)} typed queries, {len(documents)} documents", typed)
    _print_clean(clean)
    return typed, clean


def missed_targets(typed: Sequence[Row], clean: Sequence[CleanRow]) -> list[str]:
    """Returns the targets that the half that judges misses, and the queries without slips, one sentence each."""
    below = [
        f"{row.kind}: {row.mode} R@1 is {row.recall[1]:.3f}, below {least:.3f}"
        for row in typed
        if row.half == "judges" and (least := _target(row)) is not None and row.recall[1] < least
    ]
    return below + [each for row in clean for each in row.missed]


def _target(row: Row) -> float | None:
    return least_recall(row.kind, meant_recall=row.meant_recall)


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


def _print_clean(rows: Sequence[CleanRow]) -> None:
    """Prints one line for each set, language, catalogue and mode."""
    print("\n## queries without slips\n")
    print("The sample's queries share no distinctive word with the document that answers them: R@1 is low by design.")
    print("With another set's catalogue, nothing answers a query, so only interpretations are counted.\n")
    print(f"| {' | '.join(CLEAN_COLUMNS)} |\n{'|---' * len(CLEAN_COLUMNS)}|")
    for row in rows:
        recalls = [each and each[depth] for depth in DEPTHS for each in (row.as_typed, row.recall)]
        figures = " | ".join("" if each is None else f"{each:.4f}" for each in (*recalls, row.loss))
        print(f"| {row.name} | {row.catalogue} | {row.mode} | {row.queries} | {figures} | {row.interpreted} |")


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
