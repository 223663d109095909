"""Documents for the measurements of writes: an endless sequence, made from the queries."""

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from chaja.v1 import Document, LocalizedText, Upsert
from loadtest.requests.queries import Query


def new_documents(queries: Sequence[Query]) -> Iterator[Upsert]:
    """Yields distinct documents with a title and a text of three sentences."""
    texts = [str(query.fields["query"]) for query in queries]
    for number in itertools.count():
        shift = 1 + number // len(texts)
        said = [texts[(number + step * shift) % len(texts)] for step in range(4)]
        title = LocalizedText(text=f"{said[0]} {number}")
        text = LocalizedText(text=" ".join([*said[1:], str(number)]))
        yield Upsert(document=Document(id=f"document {number}", titles=[title], texts=[text]))


def texts_of(upserts: Sequence[Upsert]) -> list[str]:
    """Returns the texts that the server encodes for documents."""
    return [localized.text for upsert in upserts for localized in (*upsert.document.titles, *upsert.document.texts)]


def write_queries(path: Path, texts: Sequence[str]) -> Path:
    """Writes texts as a file of queries; returns its path."""
    lines = (json.dumps({"query": text}, ensure_ascii=False) + "\n" for text in texts)
    path.write_text("".join(lines), encoding="utf-8")
    return path
