"""Runs `python -m export evaluate`: reads the set, searches with every system, and reports."""

from __future__ import annotations

import argparse
import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from export.errors import ExportError
from export.evaluation import flags
from export.evaluation.evaluation import Evaluation, evaluate
from export.evaluation.judged import JudgedSet, taught
from export.evaluation.reading import read_beir_set, read_catalogue_set
from export.evaluation.report.content import content_of
from export.evaluation.report.html import as_page
from export.evaluation.report.json import as_json
from export.evaluation.report.text import as_text
from export.evaluation.runs import WITH_LABELS, System
from export.evaluation.systems.bm25 import Bm25System, best_of
from export.evaluation.systems.remote import ServerSystem, Target
from export.evaluation.systems.served import BundleEncoder, EncodedDocuments, served_systems
from export.evaluation.systems.terms import SPLITS
from export.progress import Progress
from export.silence import silence_libraries
from server.catalogue.document import Document
from server.encoding.bundle import Bundle
from server.encoding.cutting import Cutting
from server.ranking.options import Mode
from server.report_files import check_report, write_report


def main(arguments: Sequence[str]) -> None:
    """Runs the command line.

    Raises:
        ExportError, StartError: A file, a set or a bundle cannot be used. No report is written then.
    """
    options = flags.parse(arguments)
    check_report(options.json, options.html)
    with Progress() as progress:
        judged = _read(options)
        evaluation = _evaluate(options, judged, progress)
        progress.finish()
    content = content_of(evaluation, worst=options.worst)
    print(as_text(content))
    if options.json is not None:
        write_report(options.json, as_json(content))
    if options.html is not None:
        write_report(options.html, as_page(content))


def _read(options: argparse.Namespace) -> JudgedSet:
    if options.eval is not None:
        return read_beir_set(
            options.eval,
            split=options.split,
            dev=options.dev,
            labels=options.labels,
            most_queries=options.eval_queries,
            most_documents=options.eval_documents,
        )
    return read_catalogue_set(
        options.catalogue,
        options.queries,
        dev=None if options.dev is None else Path(options.dev),
        labels=None if options.labels is None else Path(options.labels),
        most_queries=options.eval_queries,
    )


def _evaluate(options: argparse.Namespace, judged: JudgedSet, progress: Callable[[str], None]) -> Evaluation:
    labelled = taught(judged.documents, judged.labels, per_document=options.labels_per_document)
    words = _bm25_systems(options, judged, labelled, progress)
    with _server_systems(options, judged) as remote:
        systems: list[System] = [*remote, *_bundle_systems(options, judged, labelled, progress), *words]
        names = [system.name for system in systems]
        baseline = options.baseline or (best_of(words).name if words else names[0])
        if baseline not in names:
            raise ExportError(f"--baseline {baseline}: there is no such system; there are {', '.join(names)}")
        return evaluate(judged, systems, baseline=baseline, progress=progress)


@contextlib.contextmanager
def _server_systems(options: argparse.Namespace, judged: JudgedSet) -> Iterator[list[ServerSystem]]:
    """Yields the modes of the running server, while its connection is open."""
    if options.server is None:
        yield []
        return
    target = Target(
        address=options.server,
        token=options.token,
        tls=options.tls,
        ca=options.ca,
        certificate=options.cert,
        key=options.key,
    )
    known = frozenset(each.id for each in judged.documents)
    suffix = f" ({options.server})" if options.bundle else ""
    with target.connected() as client:
        yield [
            ServerSystem(f"{mode.name}{suffix}", target, client, mode, known=known, labels=bool(judged.labels))
            for mode in options.modes
        ]


def _bm25_systems(
    options: argparse.Namespace, judged: JudgedSet, labelled: Sequence[Document], progress: Callable[[str], None]
) -> list[Bm25System]:
    """Returns BM25 over each kind of terms, and with labels one more that has them."""
    sets = [("", judged.documents), *([(WITH_LABELS, labelled)] if judged.labels else [])]
    splits = {name: SPLITS[name]() for name in options.bm25}
    return [
        Bm25System(f"BM25 {name}{suffix}", documents, split, tuning=judged.tuning, progress=progress)
        for suffix, documents in sets
        for name, split in splits.items()
    ]


def _bundle_systems(
    options: argparse.Namespace, judged: JudgedSet, labelled: Sequence[Document], progress: Callable[[str], None]
) -> list[System]:
    """Returns the modes of each bundle and size of passages; LEXICAL mode once, since it does not use the model."""
    has_labels = bool(judged.labels)
    systems: list[System] = []
    for place, (directory, tokens) in enumerate(itertools.product(options.bundle, options.passage_tokens)):
        progress(f"opening {directory}")
        bundle = Bundle(directory, cutting=Cutting(tokens, options.passage_overlap_tokens))
        documents = EncodedDocuments(BundleEncoder(bundle), judged.documents, labelled, progress=progress)
        differing = [str(directory)] if len(options.bundle) > 1 else []
        differing += [f"{tokens} tokens"] if len(options.passage_tokens) > 1 else []
        suffix = f" ({', '.join(differing)})" if differing else ""
        modes = [mode for mode in options.modes if not place or mode is not Mode.LEXICAL]
        systems += served_systems(documents, modes, labels=has_labels, suffix=suffix)
        if options.model is not None:
            progress(f"opening {options.model}")
            silence_libraries()
            from export.evaluation.systems.original import OriginalEncoder

            original = OriginalEncoder(bundle, options.model, options.document_model)
            documents = EncodedDocuments(original, judged.documents, labelled, progress=progress)
            systems += served_systems(documents, [Mode.DENSE], labels=has_labels, suffix=f" fp32{suffix}")
    return systems
