"""Retrieval quality of a bundle on labelled queries: `python -m export evaluate`.

Documents are encoded and searched by the server's own code.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from export.labelled_queries import LabelledQuery, load_labelled_queries
from export.options import OneLineParser, check_evaluation_flags, evaluation_flags, open_corpus
from export.quality.exact_search import exact_search
from export.quality.retrieval import DEPTHS, first_relevant_rank, mean_reciprocal_rank, recall_at
from server.catalogue.catalogue import load_catalogue
from server.catalogue.document import Document
from server.cpus import usable_cpus
from server.encoding.bundle import Bundle
from server.encoding.documents import encode_documents
from server.encoding.kind import TextKind
from server.encoding.passages import OVERLAP_TOKENS

log = logging.getLogger(__name__)


def evaluate(
    *, bundle: Path, documents: Sequence[Document], queries: Sequence[LabelledQuery]
) -> dict[str, list[int | None]]:
    """Searches every labelled query among all documents, and to the last of them.

    Returns:
        The rank of each query's first relevant document, by language and for all (`"all"`, first).

    Raises:
        StartError: The bundle cannot be served.
    """
    opened = Bundle(bundle)
    opened.verify()
    log.info("encoding %d documents by %s", len(documents), opened.encoder_name)
    with ThreadPoolExecutor(usable_cpus()) as pool:
        encoded = encode_documents(documents, opened, overlap_tokens=OVERLAP_TOKENS, map=pool.map)
    log.info("searching %d queries", len(queries))
    found = exact_search(
        np.concatenate([each.matrix for each in encoded]),
        [position for position, each in enumerate(encoded) for _ in each.spans],
        opened.encode_texts([(query.query, TextKind.QUERY) for query in queries]),
        similarity=opened.manifest.similarity,
        limit=len(documents),
    )
    ranks: dict[str, list[int | None]] = defaultdict(list)
    for query, positions in zip(queries, found, strict=True):
        rank = first_relevant_rank([documents[position].id for position in positions], query.relevant)
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
        documents, queries = corpus.documents, corpus.queries
        log.info("%s", corpus.name)
    else:
        documents = load_catalogue(options.catalogue)
        queries = load_labelled_queries(options.queries, documents)
    print(format_table(evaluate(bundle=options.bundle, documents=documents, queries=queries)))
