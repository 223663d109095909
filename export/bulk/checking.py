"""Checks all documents of the catalogue, and finds those that have to be encoded, before anything is written."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from export.bulk.parts import Part, parts_of
from server.catalogue.catalogue import problem_of
from server.catalogue.document import Document, content_of
from server.catalogue.encoded_contents import encoded_contents
from server.catalogue.store import Store
from server.errors import CatalogueError

STRETCH_DOCUMENTS = 1000
"""Documents that are compared with the store at a time."""


class Stretch(msgspec.Struct, frozen=True):
    """Neighbouring documents of a part: their digest, and which of them have to be encoded, as a character each."""

    digest: bytes
    wanted: bytes


class Work(msgspec.Struct, frozen=True):
    """A part of the catalogue in which documents have to be encoded, with all its stretches in order."""

    part: Part
    stretches: list[Stretch]


class FileState(NamedTuple):
    """The values that distinguish a file from a later version of it. Some network file systems change inodes."""

    size_bytes: int
    changed_ns: int


class Plan(NamedTuple):
    """The numbers of all documents and of those to encode, where these are, and the files as they were before."""

    documents: int
    wanted: int
    works: list[Work]
    states: dict[Path, FileState]


def check(
    files: Sequence[Path],
    store: Store,
    *,
    revision: str,
    max_document_characters: int,
    progress: Callable[[int], None],
) -> Plan:
    """Checks all documents as the server checks a catalogue file, and compares them with the store.

    A document has to be encoded unless the store has its content and its vectors of the model `revision`. `progress` is
    called with the number of documents so far. Raises CatalogueError, which names the place, or StoreError.
    """
    states = {path: _state_of(path) for path in files}
    documents = wanted = 0
    works: list[Work] = []
    hashes = array("Q")
    for path in files:
        for part in parts_of(path):
            stretches: list[Stretch] = []
            for stretch in _stretches(_valid(part, max_document_characters)):
                stretches.append(_compared(stretch, store, revision))
                hashes.extend(_hash_of(document.id) for document in stretch)
                documents += len(stretch)
                progress(documents)
            count = sum(map(sum, (each.wanted for each in stretches)))
            if count:
                works.append(Work(part, stretches))
                wanted += count
    if not documents:
        others = f" and {len(files) - 1} other files have" if len(files) > 1 else " has"
        raise CatalogueError(f"{files[0]}{others} no documents")
    _check_distinct(files, hashes)
    return Plan(documents, wanted, works, states)


def check_unchanged(plan: Plan) -> None:
    """Raises CatalogueError if a file has changed since its check, also where nothing was read again."""
    for path, state in plan.states.items():
        if _state_of(path) != state:
            raise CatalogueError(_changed(path))


def read_again(work: Work) -> Iterator[bytes]:
    """Yields the contents of the documents to encode; raises CatalogueError if the part has changed since its check."""
    changed = CatalogueError(_changed(work.part.path))
    stretches = _stretches(document for _, document in work.part.read())
    for checked in work.stretches:
        contents = [content_of(document) for document in next(stretches, ())]
        if len(contents) != len(checked.wanted) or digest_of(contents) != checked.digest:
            raise changed
        yield from (content for content, is_wanted in zip(contents, checked.wanted, strict=True) if is_wanted)
    if next(stretches, None) is not None:
        raise changed


def _changed(path: Path | str) -> str:
    return f"{path} differs from what was checked: do not change it during the run"


def _state_of(path: Path) -> FileState:
    try:
        found = path.stat()
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read: {error.strerror}") from None
    return FileState(found.st_size, found.st_mtime_ns)


def digest_of(contents: Iterable[bytes]) -> bytes:
    """Returns the digest of documents."""
    digest = hashlib.blake2b(digest_size=16)
    for content in contents:
        digest.update(content + b"\n")
    return digest.digest()


def _stretches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    left = iter(documents)
    while stretch := list(islice(left, STRETCH_DOCUMENTS)):
        yield stretch


def _valid(part: Part, max_document_characters: int) -> Iterator[Document]:
    for number, document in part.read():
        problem = problem_of(document, max_document_characters=max_document_characters)
        if problem is not None:
            raise CatalogueError(f"{part.place(number)}: {problem}")
        yield document


def _compared(stretch: Sequence[Document], store: Store, revision: str) -> Stretch:
    ids = [document.id for document in stretch]

    def read() -> dict[str, bytes]:
        with store.reading() as connection:
            return encoded_contents(connection, ids, revision)

    known = store.patiently(read)
    contents = [content_of(document) for document in stretch]
    wanted = bytes(known.get(each.id) != content for each, content in zip(stretch, contents, strict=True))
    return Stretch(digest_of(contents), wanted)


def _hash_of(id: str) -> int:
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest())


def _check_distinct(files: Sequence[Path], hashes: array[int]) -> None:
    """Raises CatalogueError if an id occurs twice. Hashes take a tenth of the memory of ids; the files show which."""
    found, counts = np.unique(np.frombuffer(hashes, dtype=np.uint64), return_counts=True)
    suspects = set(found[counts > 1].tolist())
    if not suspects:
        return
    place_of: dict[str, str] = {}
    for part in (part for path in files for part in parts_of(path)):
        for number, document in part.read():
            if _hash_of(document.id) in suspects:
                place = part.place(number)
                if document.id in place_of:
                    raise CatalogueError(
                        f"{place}: id {document.id!r} is already in {place_of[document.id]}: keep one of the two"
                    )
                place_of[document.id] = place
