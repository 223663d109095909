"""Finds documents whose title equals the query or begins with it.

Titles are folded like terms, and whitespace becomes single spaces. They are kept in sorted runs, each more than twice
as long as the next. Appended titles become a new run, which is merged with earlier runs until that holds again.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from server.composition import without_invisible
from server.lexical.tokens import fold
from server.snapshot import Arrays

COMPARED_BYTES = 64
"""Titles are sorted by this many bytes of UTF-8. If a query is longer, a hash decides exact matches, and every title
with the same first bytes counts as beginning with the query."""

FIRST_PREFIX_LENGTH = 2
"""Least length of a query, in characters, for which titles that begin with it are found."""

GROWTH = 2
"""An appended run is merged with the run before it if that has at most this many times its number of titles."""


class TitleHits(NamedTuple):
    """Ascending slots of documents whose title equals the query, and of others whose title begins with it."""

    exact: list[int]
    prefix: list[int]


class TitleMatches(NamedTuple):
    """Documents whose titles match a query, of which `chosen_titles` chooses some. None has both kinds of titles.

    Attributes:
        exact: Ascending slots of documents whose title equals the query: the first ones, and those among others.
        prefixes: Slots of the first documents whose title begins with the query, in the order of their titles.
        keys: The key of the first such title of each.
        others: Slots of documents with such a title that are among others.
    """

    exact: NDArray[np.int64]
    prefixes: NDArray[np.int64]
    keys: NDArray[np.bytes_]
    others: NDArray[np.int64]


_NO_SLOTS = np.zeros(0, np.int64)
NO_MATCHES = TitleMatches(_NO_SLOTS, _NO_SLOTS, np.zeros(0, f"S{COMPARED_BYTES}"), _NO_SLOTS)


class Run(NamedTuple):
    """Titles sorted by their first bytes, with the hash of each and the slot of its document."""

    keys: NDArray[np.bytes_]
    hashes: NDArray[np.uint64]
    slots: NDArray[np.int64]

    @classmethod
    def of(cls, titles: Sequence[str], slots: Sequence[int]) -> Self:
        """Returns the run of folded titles."""
        encoded = [title.encode("utf-8", "surrogatepass") for title in titles]
        keys = np.array([title[:COMPARED_BYTES] for title in encoded], dtype=f"S{COMPARED_BYTES}")
        hashes = np.array([_hash(title) for title in encoded], dtype=np.uint64)
        return cls(keys, hashes, np.array(slots, dtype=np.int64)).sorted()

    def sorted(self) -> Self:
        """Returns the sorted run, in linear time for two concatenated runs."""
        return self.at(np.argsort(self.keys, kind="stable"))

    def between(self, first: bytes, end: bytes) -> Self:
        """Returns the titles between two keys, both included."""
        low = np.searchsorted(self.keys, np.array(first, dtype=self.keys.dtype), "left")
        high = np.searchsorted(self.keys, np.array(end, dtype=self.keys.dtype), "right")
        return self.at(slice(low, high))

    def at(self, chosen: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Self:
        """Returns the titles that NumPy's indexing by `chosen` selects."""
        return type(self)(self.keys[chosen], self.hashes[chosen], self.slots[chosen])


class TitlesView:
    """An immutable view, safe to use from many threads at once."""

    def __init__(self, runs: Sequence[Run], document_count: int) -> None:
        self._runs = runs
        self._document_count = document_count

    def find(
        self, query: str, *, limit: int, among: Sequence[int] = (), allowed: NDArray[np.bool_] | None = None
    ) -> TitleHits:
        """Returns the documents with a title that equals the query or begins with it.

        Args:
            query: The query as typed.
            limit: Most documents of each kind: the exact ones with the lowest slots, and the first others by title.
            among: Slots of documents that are found beyond the limit as well, if their title matches.
            allowed: For each slot, whether its document may be found; None allows all.
        """
        return chosen_titles(
            [self.matching(query, limit=limit, among=among, allowed=allowed)], limit=limit, among=among
        )

    def matching(
        self, query: str, *, limit: int, among: Sequence[int] = (), allowed: NDArray[np.bool_] | None = None
    ) -> TitleMatches:
        """Returns the documents from which `chosen_titles` chooses; see `find`."""
        typed = fold_title(query)
        if not typed:
            return NO_MATCHES
        encoded = typed.encode("utf-8", "surrogatepass")
        key, own_hash = encoded[:COMPARED_BYTES], np.uint64(_hash(encoded))
        # No byte of UTF-8 is 255: every title that begins with the key sorts before this end.
        runs = [run.between(key, key.ljust(COMPARED_BYTES, b"\xff")) for run in self._runs]
        if allowed is not None:
            runs = [run.at(allowed[run.slots]) for run in runs]
        runs = [run for run in runs if len(run.slots)]
        if not runs:
            return NO_MATCHES
        exact = np.unique(np.concatenate([run.slots[run.hashes == own_hash] for run in runs]))
        first_exact = np.union1d(exact[:limit], np.intersect1d(exact, among)).astype(np.int64)
        if len(typed) < FIRST_PREFIX_LENGTH:
            return NO_MATCHES._replace(exact=first_exact)
        found = _joined([run.at(~np.isin(run.slots, exact)) for run in runs])
        first = _first_places(found.slots[: 2 * limit].tolist())
        if len(first) < limit:  # Some documents have several such titles.
            first = _first_places(found.slots.tolist())
        places = list(first.values())[:limit]
        others = np.intersect1d(found.slots, np.array(among, np.int64))
        return TitleMatches(first_exact, found.slots[places], found.keys[places], others)

    @property
    def arrays(self) -> Arrays:
        """The arrays of a snapshot."""
        return {"document_count": np.array(self._document_count), **_joined(self._runs)._asdict()}


class Titles:
    """The titles of all documents, found through views. Only one thread may call `append` and `view`."""

    def __init__(self) -> None:
        self._runs: list[Run] = [Run.of([], [])]
        self._document_count = 0

    def __len__(self) -> int:
        return self._document_count

    def append(self, documents: Sequence[Sequence[str]]) -> None:
        """Appends documents, which get the next slots. Each is given as all its titles."""
        first = self._document_count
        folded = [(fold_title(title), slot) for slot, titles in enumerate(documents, first) for title in titles]
        added = [(title, slot) for title, slot in folded if title]
        self._document_count += len(documents)
        if not added:
            return
        run = Run.of(*zip(*added, strict=True))
        while self._runs and len(self._runs[-1].slots) <= GROWTH * len(run.slots):
            run = _joined([self._runs.pop(), run])
        self._runs.append(run)

    def view(self) -> TitlesView:
        """Returns a view of all titles appended so far."""
        return TitlesView(tuple(self._runs), self._document_count)

    @classmethod
    def restored(cls, arrays: Arrays) -> Self:
        """Returns the titles whose view had these arrays."""
        titles = cls()
        titles._document_count = int(arrays["document_count"])
        titles._runs = [Run(arrays["keys"], arrays["hashes"], arrays["slots"])]
        return titles


def chosen_titles(matches: Sequence[TitleMatches], *, limit: int, among: Sequence[int]) -> TitleHits:
    """Returns the documents that `TitlesView.find` returns, from the matches of all parts of an index."""
    if len(matches) == 1:
        ((exact, prefixes, _, others),) = matches
        return TitleHits(exact.tolist(), sorted({*prefixes.tolist(), *others.tolist()}))
    exact, prefixes, keys, others = map(np.concatenate, zip(*matches, strict=True))
    exact = np.sort(exact)
    first = prefixes[np.lexsort((prefixes, keys))[:limit]].tolist()
    return TitleHits(
        sorted({*exact[:limit].tolist(), *np.intersect1d(exact, among).tolist()}),
        sorted({*first, *np.intersect1d(others, among).tolist()}),
    )


def fold_title(title: str) -> str:
    """Returns the form of a title, or of a query, in which they are compared."""
    return " ".join(without_invisible(fold(title)).split())


def _first_places(slots: Sequence[int]) -> dict[int, int]:
    """Returns the place at which each slot occurs for the first time, in ascending order of places."""
    places: dict[int, int] = {}
    for place, slot in enumerate(slots):
        places.setdefault(slot, place)
    return places


def _joined(runs: Sequence[Run]) -> Run:
    return Run(*(np.concatenate(arrays) for arrays in zip(*runs, strict=True))).sorted()


def _hash(title: bytes) -> int:
    return int.from_bytes(blake2b(title, digest_size=8).digest(), "little")
