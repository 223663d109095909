"""Measures the retrieval quality of a bundle on labelled queries: `python -m export evaluate`.

The server's code encodes and searches the documents, in each mode of search.
"""

from __future__ import annotations

import logging
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from export.labelled_queries import LabelledQuery, load_labelled_queries
from export.options import OneLineParser, check_evaluation_flags, evaluation_flags, open_corpus
from export.progress import Progress
from export.quality.retrieval import DEPTHS, first_relevant_rank, mean_reciprocal_rank, recall_at
from export.quality.served import ServedDocuments, encode_passages, encode_queries
from server.catalogue.catalogue import load_catalogue
from server.catalogue.document import Document
from server.catalogue.languages import canonical_language
from server.encoding.bundle import Bundle
from server.programs import EXPORTER
from server.ranking.options import CANDIDATES, Mode, SearchOptions
from server.ranking.probes import encode_probes

log = logging.getLogger(__name__)

DEPTH = CANDIDATES
"""Maximum hits of a search: as many as HYBRID takes from each leg, so that scores do not depend on the depth."""

ALL = "all"

Ranks = list[int | None]
"""For each query, the rank of its first relevant document, or None if it is not among the first `DEPTH`."""


def evaluate(
    *,
    bundle: Path,
    documents: Sequence[Document],
    queries: Sequence[LabelledQuery],
    modes: Sequence[Mode],
    progress: Callable[[str], None],
) -> dict[tuple[Mode, str], Ranks]:
    """Searches all documents for every labelled query.

    Returns:
        The ranks by mode and language. For each mode, the language `"all"` comes first and has all queries.

    Raises:
        StartError: The bundle cannot be served.
    """
    progress(f"opening {bundle}")
    opened = Bundle(bundle)
    opened.verify()
    progress(f"encoding {len(documents)} documents with {opened.encoder_name}")
    with tempfile.TemporaryDirectory() as folder:
        vectors = encode_passages(opened, documents)
        served = ServedDocuments(opened, documents, vectors, probes=encode_probes(opened), folder=Path(folder))
    progress(f"searching {len(queries)} queries")
    ranks: dict[tuple[Mode, str], Ranks] = defaultdict(list)
    encoded = encode_queries(opened, [query.query for query in queries])
    for mode in modes:
        for query, vector in zip(queries, encoded, strict=True):
            found = served.search(query.query, vector, SearchOptions(DEPTH, mode))
            rank = first_relevant_rank([documents[each.sequence].id for each in found.documents], query.relevant)
            for language in dict.fromkeys((ALL, canonical_language(query.language))):
                ranks[mode, language].append(rank)
    return dict(ranks)


def format_table(ranks: Mapping[tuple[Mode, str], Ranks]) -> str:
    """Returns a table of the measures, with one row for each mode and language."""
    recalls = "  ".join(f"R@{depth:<3}" for depth in DEPTHS)
    lines = [f"mode     queries      n  {recalls}  MRR@{DEPTH}"]
    for (mode, language), values in ranks.items():
        figures = "  ".join(f"{recall_at(values, depth):.3f}" for depth in DEPTHS)
        lines.append(f"{mode.name:8} {language:8} {len(values):5}  {figures}  {mean_reciprocal_rank(values):.3f}")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Runs the command line."""
    parser = OneLineParser(
        prog=f"{EXPORTER} evaluate",
        description="Measure R@k and MRR of a bundle with the server's search.",
        allow_abbrev=False,
    )
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="the bundle")
    parser.add_argument("--catalogue", type=Path, metavar="FILE", help="documents in JSONL")
    parser.add_argument("--queries", type=Path, metavar="FILE", help="labelled queries in JSONL")
    parser.add_argument(
        "--mode",
        choices=[ALL, *(mode.value for mode in Mode)],
        default=ALL,
        help="search mode (default: %(default)s)",
    )
    evaluation_flags(parser)
    options = parser.parse_args(arguments)
    beside = [options.catalogue is not None, options.queries is not None]
    if any(beside) if options.eval is not None else not all(beside):
        parser.error("set --catalogue and --queries, or --eval")
    check_evaluation_flags(parser, options)
    if options.eval is not None:
        corpus = open_corpus(options)
        documents, queries = corpus.documents, corpus.queries
        log.info("%s", corpus.name)
    else:
        documents = load_catalogue(options.catalogue)
        queries = load_labelled_queries(options.queries, documents)
    modes = list(Mode) if options.mode == ALL else [Mode(options.mode)]
    with Progress() as progress:
        ranks = evaluate(bundle=options.bundle, documents=documents, queries=queries, modes=modes, progress=progress)
        progress.finish()
    print(format_table(ranks))
