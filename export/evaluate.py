"""Retrieval quality of a bundle on labelled queries: `python -m export evaluate`.

R@k is the share of queries with a relevant document among the first k hits, as in
DPR (Karpukhin et al. 2020, top-k accuracy); MRR is the mean of one over the rank of
the first. Documents are encoded and searched by the server's own code.
"""

from __future__ import annotations

import argparse
import logging
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from export.labelled_queries import load_labelled_queries
from server.catalogue.catalogue import load_catalogue
from server.cpus import usable_cpus
from server.encoding.tokenizer import TextKind
from server.loading import load

log = logging.getLogger(__name__)

DEPTHS = (1, 5, 10, 20)


def first_relevant_rank(found: Sequence[str], relevant: Sequence[str]) -> int | None:
    """Returns the rank, from 1, of the first relevant id among those found, or None."""
    return next((rank for rank, id in enumerate(found, start=1) if id in relevant), None)


def recall_at(ranks: Sequence[int | None], depth: int) -> float:
    """Returns the share of queries whose first relevant document has at most rank `depth`."""
    return sum(rank is not None and rank <= depth for rank in ranks) / len(ranks)


def mean_reciprocal_rank(ranks: Sequence[int | None]) -> float:
    """Returns the mean of one over the rank; a query without a relevant document counts 0."""
    return sum(1 / rank for rank in ranks if rank) / len(ranks)


def evaluate(*, bundle: Path, catalogue: Path, queries: Path) -> dict[str, list[int | None]]:
    """Searches every labelled query to the full depth of the catalogue.

    Returns:
        The rank of each query's first relevant document, by language and for all (`"all"`, first).

    Raises:
        StartError: One of the three cannot be read.
    """
    known = load_catalogue(catalogue)
    labelled = load_labelled_queries(queries, known)
    loaded = load(bundle, known, threads=usable_cpus(), cancelled=threading.Event())
    log.info("searching %d queries", len(labelled))
    vectors = loaded.bundle.encode_texts([(query.query, TextKind.QUERY) for query in labelled])
    documents = loaded.catalogue.documents
    ranks: dict[str, list[int | None]] = defaultdict(list)
    found = loaded.index.search(vectors, [len(documents)] * len(labelled))
    for query, matches in zip(labelled, found, strict=True):
        rank = first_relevant_rank([documents[match.document].id for match in matches], query.relevant)
        ranks["all"].append(rank)
        ranks[query.language].append(rank)
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
    parser = argparse.ArgumentParser(
        prog="python -m export evaluate", description="Measure R@k of a bundle.", allow_abbrev=False
    )
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="the bundle")
    parser.add_argument("--catalogue", type=Path, required=True, metavar="FILE", help="the documents, JSONL")
    parser.add_argument("--queries", type=Path, required=True, metavar="FILE", help="the labelled queries, JSONL")
    options = parser.parse_args(arguments)
    print(format_table(evaluate(bundle=options.bundle, catalogue=options.catalogue, queries=options.queries)))
