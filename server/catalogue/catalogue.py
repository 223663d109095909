"""The catalogue file: one document per line."""

from pathlib import Path

from server.catalogue.document import Document, excess
from server.catalogue.jsonl import read_jsonl
from server.errors import CatalogueError


def load_catalogue(path: Path, *, max_document_characters: int | None = None) -> list[Document]:
    """Returns the documents of a catalogue file in order; raises CatalogueError, which names the file and the line."""
    documents: list[Document] = []
    line_of: dict[str, int] = {}
    for number, document in read_jsonl(path, Document):
        problem = problem_of(document, max_document_characters=max_document_characters)
        if problem is None and document.id in line_of:
            problem = f"id {document.id!r} is already in line {line_of[document.id]}: keep one of the two lines"
        if problem is not None:
            raise CatalogueError(f"{path}:{number}: {problem}")
        line_of[document.id] = number
        documents.append(document)
    if not documents:
        raise CatalogueError(f"{path} has no documents")
    return documents


def problem_of(document: Document, *, max_document_characters: int | None = None) -> str | None:
    """Returns the first problem of a document that decoding does not detect; None if it is valid."""
    if (problem := document.problem() or excess(document.element_count())) is not None:
        return problem
    if max_document_characters is None or (characters := document.character_count()) <= max_document_characters:
        return None
    allowed = f"at most {max_document_characters} are allowed"
    return f"has {characters} characters in all; {allowed}: split it, or raise --max-document-characters"
