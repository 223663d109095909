"""The expected content of a store: everything that it acknowledged, or a later write.

attempt ──> answered: the store has this document, or one with a higher version
        ──> refused: the store is unchanged
        ──> no answer (the server was killed): the next start shows whether the write took place
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from chaja.v1 import Document


@dataclass(eq=False)
class Attempt:
    """A write call.

    Attributes:
        wanted: The document after the write, by id; None deletes it.
        alone: Whether no other attempt writes these documents meanwhile: then it takes place as a whole or not at all.
        request_id: Id with which the call may be repeated.
    """

    wanted: Mapping[str, Document | None]
    alone: bool = False
    request_id: str = ""


@dataclass
class Known:
    """The last acknowledged state of a document, and its possible states since then."""

    version: int = 0
    document: Document | None = None
    open: list[Attempt] = field(default_factory=list)


class Ledger:
    """The expected documents of one store. Threads share it."""

    def __init__(self) -> None:
        self.documents: dict[str, Known] = {}
        self.acknowledged = 0
        self.open_import: str | None = None
        self.import_position = 0
        self._lock = threading.Lock()
        self._floor = 0
        self._versions: dict[int, str] = {}
        self._swaps: list[tuple[str, int, int]] = []
        self._writes: dict[str, dict[int, Document | None]] = {}

    def begin(self, attempt: Attempt) -> Attempt:
        """Records that an attempt is about to be made."""
        with self._lock:
            for id in attempt.wanted:
                self.documents.setdefault(id, Known()).open.append(attempt)
        return attempt

    def answered(self, attempt: Attempt, id: str, version: int, *, expected_version: int | None = None) -> None:
        """Records that an attempt has written or deleted a document."""
        with self._lock:
            self.acknowledged += 1
            assert version > self._floor, f"{id}: version {version} is not above the start's sequence {self._floor}"
            other = self._versions.setdefault(version, id)
            assert other == id, f"{id} and {other} have the same version {version}"
            known = self.documents[id]
            known.open.remove(attempt)
            if version > known.version:
                known.version, known.document = version, attempt.wanted[id]
            self._writes.setdefault(id, {})[version] = attempt.wanted[id]
            if expected_version is not None:
                self._swaps.append((id, expected_version, version))

    def gone(self, attempt: Attempt, id: str) -> None:
        """Records that an attempt has deleted a document, with an unknown sequence."""
        with self._lock:
            self.acknowledged += 1
            known = self.documents[id]
            known.open.remove(attempt)
            known.version, known.document = known.version + 1, None

    def refused(self, attempt: Attempt, ids: Iterable[str] | None = None) -> None:
        """Records that an attempt, or a part of it, had no effect."""
        with self._lock:
            for id in attempt.wanted if ids is None else ids:
                self.documents[id].open.remove(attempt)

    def titles(self) -> list[str]:
        """Returns titles of existing documents; they may be deleted concurrently."""
        with self._lock:
            found = [known.document for known in self.documents.values()]
        return [document.titles[0].text for document in found if document is not None]

    def settle(self, listed: Mapping[str, Document], sequence: int) -> list[Attempt]:
        """Compares the ledger with the documents after a start, which become the new expected state.

        Returns the attempts without an answer that were made alone: whether they took place is known now.

        Raises:
            AssertionError: A document is lost, or was never written.
        """
        unknown = {each for known in self.documents.values() for each in known.open}
        for attempt in unknown:
            _check_whole(attempt, self.documents, listed)
        for id in self.documents.keys() | listed.keys():
            _check_document(id, self.documents.get(id), listed.get(id))
        for id, expected_version, version in self._swaps:
            before = max((each for each in self._writes[id] if each < version), default=expected_version)
            deleted = self._writes[id].get(before) is None
            assert before <= expected_version or (not expected_version and deleted), (
                f"{id}: version {version} replaced {before}; the call expected {expected_version}"
            )
        for id, known in self.documents.items():
            document = listed.get(id)
            known.open = []
            known.document = None if document is None else plain(document)
            known.version = known.version if document is None else document.version
        assert sequence >= self._floor, f"the sequence fell from {self._floor} to {sequence}"
        self._floor = sequence
        self._versions, self._swaps, self._writes = {}, [], {}
        return [attempt for attempt in unknown if attempt.alone]


def plain(document: Document) -> Document:
    """Returns a document as it was written."""
    copy = Document()
    copy.CopyFrom(document)
    copy.ClearField("version")
    return copy


def _check_document(id: str, known: Known | None, document: Document | None) -> None:
    assert known is not None, f"{id} is there, but was never written"
    possible = [attempt.wanted[id] for attempt in known.open]
    if document is None:
        assert known.document is None or None in possible, f"{id} is lost: version {known.version} was acknowledged"
        return
    assert document.version >= known.version, (
        f"{id} is back at version {document.version}; {known.version} was acknowledged"
        + (" (deleted)" if known.document is None else "")
    )
    if document.version > known.version:
        assert plain(document) in possible, f"{id} has version {document.version}, which was never written"
    else:
        assert plain(document) == known.document, f"{id}: version {document.version} is not what was acknowledged"


def _check_whole(attempt: Attempt, documents: Mapping[str, Known], listed: Mapping[str, Document]) -> None:
    """Checks that a call without an answer took place as a whole or not at all."""
    if not attempt.alone:
        return
    done = set()
    for id, wanted in attempt.wanted.items():
        before = documents[id].document
        if wanted == before or attempt not in documents[id].open:
            continue
        now = listed.get(id)
        done.add((None if now is None else plain(now)) == wanted)
    assert len(done) < 2, f"only a part of one call took place: {sorted(attempt.wanted)}"
