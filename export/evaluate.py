"""Retrieval quality of a bundle on labelled queries: `python -m export evaluate`.

Documents are encoded and searched by the server's own code.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from export.labelled_queries import LabelledQuery, load_labelled_queries
from export.options import OneLineParser, check_evaluation_flags, evaluation_flags, open_corpus
from export.quality.retrieval import DEPTHS, first_relevant_rank, mean_reciprocal_rank, recall_at
from server.catalogue.catalogue import Catalogue, load_catalogue
from server.cpus import usable_cpus
from server.encoding.tokenizer import TextKind
from server.loading import load

log = logging.getLogger(__name__)


def evaluate(*, bundle: Path, catalogue: Catalogue, queries: Sequence[LabelledQuery]) -> dict[str, list[int | None]]:
    """Searches every labelled query to the full depth of the catalogue.

    Returns:
        The rank of each query's first relevant document, by language and for all (`"all"`, first).

    Raises:
        StartError: The bundle cannot be served.
    """
    loaded = load(bundle, catalogue, threads=usable_cpus(), cancelled=threading.Event())
    log.info("searching %d queries", len(queries))
    vectors = loaded.bundle.encode_texts([(query.query, TextKind.QUERY) for query in queries])
    documents = loaded.catalogue.documents
    ranks: dict[str, list[int | None]] = defaultdict(list)
    found = loaded.index.search(vectors, [len(documents)] * len(queries))
    for query, matches in zip(queries, found, strict=True):
        rank = first_relevant_rank([documents[match.document].id for match in matches], query.relevant)
        for language in dict.fromkeys(("all", query.language)):
            ranks[language].append(rank)
    return dict(ranks)


def format_table(ranks: dict[str, list[int | None]]) -> str:
    """Returns the figures as a table, one row for each language."""
    lines = ["queries      n  " + "  ".join(f"R@{depth:<3}" for depth in DEPTHS) + "  MRR"]
    for language, values in ranks.items():
        recalls = "  ".join(f"{recall_at(values, depth):.3f}" for depth in DEPTHS)
        lines.append(f"{language:8} {len(values):5}  {recalls}  {mean_reciprocal_rank(values):.3f}")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Runs the command line."""
    parser = OneLineParser(prog="python -m export evaluate", description="Measure R@k of a bundle.", allow_abbrev=False)
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="the bundle")
    parser.add_argument("--catalogue", type=Path, metavar="FILE", help="the documents, JSONL")
    parser.add_argument("--queries", type=Path, metavar="FILE", help="the labelled queries, JSONL")
    evaluation_flags(parser)
    options = parser.parse_args(arguments)
    beside = [options.catalogue is not None, options.queries is not None]
    if any(beside) if options.eval is not None else not all(beside):
        parser.error("name --catalogue and --queries, or --eval")
    check_evaluation_flags(parser, options)
    if options.eval is not None:
        corpus = open_corpus(options)
        catalogue, queries = corpus.catalogue, corpus.queries
        log.info("%s", corpus.name)
    else:
        catalogue = load_catalogue(options.catalogue)
        queries = load_labelled_queries(options.queries, catalogue)
    print(format_table(evaluate(bundle=options.bundle, catalogue=catalogue, queries=queries)))
