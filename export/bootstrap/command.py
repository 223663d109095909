"""Runs `python -m export bootstrap`: check, queries, sheet and labels."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence

from export.bootstrap import flags
from export.bootstrap.checks.finding import as_json, as_text
from export.bootstrap.checks.running import findings_of
from export.bootstrap.sheets.labels import labelled
from export.bootstrap.sheets.pooling import pooled
from export.bootstrap.sheets.queries import read_queries
from export.bootstrap.sheets.reading import read_sheet
from export.bootstrap.sheets.report import as_text as as_text_of_labels
from export.bootstrap.sheets.writing import as_csv
from export.bootstrap.synthetic.kinds import KINDS
from export.bootstrap.synthetic.making import synthetic_queries
from export.bootstrap.synthetic.phrases import phrases_by_kiwi, phrases_by_rules
from export.bootstrap.synthetic.round_trip import round_trip
from export.errors import ExportError
from export.labelled_queries import as_jsonl
from export.new_files import check_new, write_new
from export.progress import Progress
from server.catalogue.catalogue import load_catalogue
from server.encoding.bundle import Bundle
from server.encoding.cutting import chosen_cutting
from server.report_files import check_report, write_report
from server.terminal import table


def main(arguments: Sequence[str]) -> None:
    """Runs the command line.

    Raises:
        ExportError, StartError: A file or a bundle cannot be used, or `check --strict` has a finding. No file is
            written then, except the report of the findings.
    """
    options = flags.parse(arguments)
    TASKS[options.task](options)


def _check(options: argparse.Namespace) -> None:
    check_report(options.json)
    documents = load_catalogue(options.catalogue)
    with Progress() as progress:
        found = findings_of(documents, _bundle(options), near=options.near, progress=progress)
        progress.finish()
    print(as_text(found, documents=len(documents)))
    if options.json is not None:
        write_report(options.json, as_json(found, documents=len(documents)))
    if found and options.strict:
        raise ExportError(f"{len(found):,} findings in {options.catalogue}: correct them, or leave out --strict")


def _queries(options: argparse.Namespace) -> None:
    check_new(options.out)
    documents = load_catalogue(options.catalogue)
    phrases = phrases_by_kiwi() if options.phrases == "kiwi" else phrases_by_rules
    with Progress() as progress:
        progress(f"making queries for {len(documents):,} documents")
        made = synthetic_queries(documents, options.kinds, most=options.most, phrases=phrases)
        kept = round_trip(made, documents, _bundle(options), top=options.top, progress=progress)
        progress.finish()
    if not kept:
        raise ExportError(f"no query of {len(made):,} finds its document and only that: set --top or other --kinds")
    write_new(options.out, as_jsonl(each.labelled for each in kept))
    counts = [Counter(each.kind for each in queries) for queries in (made, kept)]
    documents_with = {kind: len({each.document_id for each in kept if each.kind == kind}) for kind in KINDS}
    rows = [[kind, *(f"{each[kind]:,}" for each in counts), f"{documents_with[kind]:,}"] for kind in options.kinds]
    print("\n".join(table(["kind", "made", "kept", "documents"], rows)))


def _sheet(options: argparse.Namespace) -> None:
    check_new(options.out)
    documents = load_catalogue(options.catalogue)
    queries = read_queries(options.queries)
    with Progress() as progress:
        pools = pooled(queries, documents, _bundle(options), depth=options.depth, seed=options.seed, progress=progress)
        progress.finish()
    write_new(options.out, as_csv(pools, {each.id: each for each in documents}))
    rows = sum(len(each.document_ids) for each in pools)
    without = sum(not each.document_ids for each in pools)
    nothing = f"; {without:,} queries find nothing" if without else ""
    print(f"{options.out}: {len(queries):,} queries, {rows:,} rows to label{nothing}")


def _bundle(options: argparse.Namespace) -> Bundle:
    return Bundle(options.bundle, cutting=chosen_cutting(options))


def _labels(options: argparse.Namespace) -> None:
    check_new(options.out)
    ids = [each.id for each in load_catalogue(options.catalogue)]
    queries = read_queries(options.queries)
    sheets = [read_sheet(path, queries, ids) for path in options.sheets]
    found = labelled(sheets, partial=options.partial)
    print(as_text_of_labels(found, sheets))
    if not found.queries:
        raise ExportError("no query is labelled with a document that answers it: nothing was written")
    write_new(options.out, as_jsonl(found.queries))


TASKS: dict[str, Callable[[argparse.Namespace], None]] = {
    "check": _check,
    "queries": _queries,
    "sheet": _sheet,
    "labels": _labels,
}
"""The tasks by name."""
