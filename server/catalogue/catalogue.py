"""The catalogue: all documents, in the order of their file.

A position in `documents` or `parts` is how the index speaks of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from server.catalogue.document import Document, Field, Part, parts_of
from server.catalogue.jsonl import read_jsonl
from server.errors import CatalogueError


class Catalogue:
    """All documents and their parts. Immutable.

    Attributes:
        documents: The documents, in order.
        parts: The parts of all documents, document by document.
        owners: For each part the position of its document.
    """

    def __init__(self, documents: Sequence[Document]) -> None:
        self.documents = list(documents)
        self.parts: list[Part] = []
        self.owners: list[int] = []
        for position, document in enumerate(self.documents):
            parts = parts_of(document)
            self.parts += parts
            self.owners += [position] * len(parts)

    def encoded_text(self, position: int, title_separator: str | None) -> str:
        """Returns what the vector of a part stands for.

        That is the part itself; where there is a separator, a document's text stands behind its title: the one in the
        text's language, or else the first.
        """
        part = self.parts[position]
        if title_separator is None or part.field is not Field.TEXT:
            return part.text
        title = self.documents[self.owners[position]].title_in(part.language_code)
        return f"{title}{title_separator}{part.text}" if title else part.text


def load_catalogue(path: Path) -> Catalogue:
    """Reads and checks a catalogue's file.

    Raises:
        CatalogueError: The file is missing or empty, or one of its lines is wrong; names file and line.
    """
    documents: list[Document] = []
    line_of: dict[str, int] = {}
    for number, document in read_jsonl(path, Document):
        problem = document.problem()
        if problem is None and document.id in line_of:
            problem = f"id {document.id!r} stands in line {line_of[document.id]} already"
        if problem is not None:
            raise CatalogueError(f"{path}:{number}: {problem}")
        line_of[document.id] = number
        documents.append(document)
    if not documents:
        raise CatalogueError(f"{path} has no documents")
    return Catalogue(documents)
