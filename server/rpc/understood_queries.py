"""Keeps how queries were understood until documents or synonyms change: many users send the same queries."""

import weakref
from typing import NamedTuple

from server.attributes.filter import Filter
from server.ranking.corpus import Searched
from server.ranking.options import Mode
from server.ranking.understanding import Understood, reading_of, understand

KEPT_QUERIES = 10_000
KEPT_CHARACTERS = 100
"""Bounds of the queries that are kept: their number, and the length of each. Longer ones seldom repeat."""


class _Key(NamedTuple):
    typed: str
    dense: bool
    language: str


class _Kept(NamedTuple):
    """The queries that a state has understood, and its views. Weak references let a replaced index leave the memory."""

    views: tuple[weakref.ref[object], ...]
    queries: dict[_Key, Understood]


class UnderstoodQueries:
    """The understanding of queries by the latest state. Any thread may use it."""

    def __init__(self) -> None:
        self._latest = _Kept((), {})

    def understand(
        self, typed: str, state: Searched, *, mode: Mode, language: str, filter: Filter | None = None
    ) -> Understood:
        """Returns how a normalised query is searched; see `understand` and `reading_of`."""
        if filter is not None or len(typed) > KEPT_CHARACTERS:
            return understand(typed, reading_of(typed, state, filter=filter), state, mode, language=language)
        kept, key = self._of(state), _Key(typed, mode is Mode.DENSE, language)
        if (understood := kept.get(key)) is None:
            understood = understand(typed, reading_of(typed, state), state, mode, language=language)
            if len(kept) >= KEPT_QUERIES:
                kept.clear()
            kept[key] = understood
        return understood

    def _of(self, state: Searched) -> dict[_Key, Understood]:
        """Returns what is kept of a state."""
        views = state.texts
        latest = self._latest
        if [known() for known in latest.views] != [*views]:
            # Another thread, with another state, may do the same. Each fills its own.
            latest = self._latest = _Kept(tuple(map(weakref.ref, views)), {})
        return latest.queries
