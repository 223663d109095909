"""Writes a sheet: one row for each query and document, with an empty label."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from export.bootstrap.sheets.cells import key_of, safe
from export.bootstrap.sheets.pooling import Pooled
from server.catalogue.document import Document
from server.ranking.language import language_of

COLUMNS = ("label", "query", "title", "text", "document", "key")
"""`label` is first, where people write; `key` identifies the row, and is the only other column that is read again."""

MARK = "\ufeff"
"""Shows Excel that a file is UTF-8."""


def as_csv(pools: Sequence[Pooled], documents: Mapping[str, Document]) -> str:
    """Returns the sheet; `documents` are those of the catalogue by id. A query without hits has no row."""
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for query, ids in pools:
        for id in ids:
            title, text = _shown(documents[id], language_of(query) or "")
            writer.writerow(["", safe(query), safe(title), safe(text), safe(id), key_of(query, id)])
    return MARK + file.getvalue()


def _shown(document: Document, language: str) -> tuple[str, str]:
    """Returns the title and the text in the language of a query, or else the first ones."""
    texts = document.texts()
    return document.title_in(language), texts.get(language) or next(iter(texts.values()), "")
