"""Labelled queries: each names the documents that answer it.

{"query": "지갑을 잃어버렸어", "language": "ko", "relevant": ["card-lost"]}

A query that a rule has made has its `kind` as well, such as "question".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from server.catalogue.document import Document
from server.catalogue.jsonl import read_jsonl
from server.composition import composed
from server.errors import CatalogueError


class LabelledQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A query and the ids of one or more documents that answer it; `kind` is empty for a query of a person."""

    query: Annotated[str, msgspec.Meta(min_length=1)]
    language: str
    relevant: Annotated[list[str], msgspec.Meta(min_length=1)]
    kind: str = ""


def as_jsonl(queries: Iterable[LabelledQuery]) -> str:
    """Returns one line for each query; of queries with the same text only the first, since a file has no text twice."""
    first: dict[str, LabelledQuery] = {}
    for each in queries:
        first.setdefault(composed(each.query), each)
    return "".join(f"{msgspec.json.encode(each).decode()}\n" for each in first.values())


def load_labelled_queries(path: Path, documents: Sequence[Document]) -> list[LabelledQuery]:
    """Reads labelled queries and checks that their documents exist.

    Raises:
        CatalogueError: The file is missing or empty, a line is invalid, a query occurs twice, or a label names an
            unknown document; the error names file and line.
    """
    known = {document.id for document in documents}
    queries: list[LabelledQuery] = []
    line_of: dict[str, int] = {}
    for number, query in read_jsonl(path, LabelledQuery):
        if not query.query.strip():
            raise CatalogueError(f"{path}:{number}: query is blank")
        text = composed(query.query)
        if text in line_of:
            raise CatalogueError(f"{path}:{number}: the query is already in line {line_of[text]}")
        for id in query.relevant:
            if id not in known:
                raise CatalogueError(f"{path}:{number}: unknown document {id!r}: it is not in the catalogue")
        line_of[text] = number
        queries.append(query)
    if not queries:
        raise CatalogueError(f"{path} has no queries")
    return queries
