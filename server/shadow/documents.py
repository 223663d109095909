"""The documents of the two sides, with their vectors: from the store where it has them, else encoded once."""

import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path

import msgspec

from server.catalogue.catalogue import load_catalogue
from server.catalogue.document import Document, content_of
from server.catalogue.encoded import Vectors, Versioned
from server.catalogue.examples import with_examples
from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.encoding.documents import encode_documents
from server.errors import StoreError

Kept = Callable[[Document], list[str]]
"""Returns the example queries that a document keeps."""


class Encoder:
    """Encodes documents with a bundle, equal ones once. `bundle` is the bundle."""

    def __init__(self, bundle: Bundle, pool: Executor) -> None:
        """Checks the bundle as the server does. Raises BundleError if it cannot be served."""
        bundle.verify()
        self.bundle = bundle
        self._pool = pool
        self._known: dict[bytes, Vectors] = {}

    def encoded(self, versions: Sequence[Versioned]) -> list[Versioned]:
        """Returns all versions with vectors. Raises BundleError if the model fails on a document."""
        contents = [content_of(each.document) for each in versions]
        self._known |= {
            content: each.vectors for content, each in zip(contents, versions, strict=True) if each.vectors is not None
        }
        missing = {
            content: each.document
            for content, each in zip(contents, versions, strict=True)
            if content not in self._known
        }
        if missing:
            print(f"encoding {len(missing):,} documents with {self.bundle.directory} …", file=sys.stderr, flush=True)
            found = encode_documents(list(missing.values()), self.bundle, map=self._pool.map)
            self._known |= zip(missing, found, strict=True)
        return [each._replace(vectors=self._known[content]) for content, each in zip(contents, versions, strict=True)]


def stored_documents(store: Store, revision: str) -> list[Versioned]:
    """Returns the documents of a store in the order of their changes, with the vectors of a model where it has them.

    Raises StoreError if it has no documents, and DatabaseDamaged.
    """
    versions = {each.document.id: each for each in store.after(0, revision)}
    if not versions:
        raise StoreError(f"{store.location} has no documents")
    return sorted(versions.values(), key=lambda each: each.sequence)


def with_vectors_of(versions: Iterable[Versioned], store: Store, revision: str) -> list[Versioned]:
    """Returns versions with the vectors of another model; those that changed since they were read have none."""
    vectors = {each.sequence: each.vectors for each in store.after(0, revision)}
    return [each._replace(vectors=vectors.get(each.sequence)) for each in versions]


def documents_of(catalogue: Path) -> list[Versioned]:
    """Returns the documents of a file, whose sequences are their positions from 1. Raises CatalogueError."""
    return [Versioned(number, each, None) for number, each in enumerate(load_catalogue(catalogue), start=1)]


def keeping(versions: Iterable[Versioned], kept: Kept) -> list[Versioned]:
    """Returns the documents with some of their example queries. A document that consists of examples keeps them."""
    found = []
    for each in versions:
        examples = kept(each.document)
        if examples == each.document.examples or not (examples or each.document.titles() or each.document.texts()):
            found.append(each)
        elif each.vectors is None:
            found.append(each._replace(document=msgspec.structs.replace(each.document, examples=examples)))
        else:
            found.append(with_examples(each, examples, {}))
    return found
