"""The answers of a system to the queries of a judged set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

DEPTH = 20
"""Documents that a system returns for each query: as many as the deepest measure needs."""


WITH_LABELS = " + labels"
"""End of the name of a system whose documents have labels as example queries."""


class System(Protocol):
    """A way to search the documents."""

    @property
    def name(self) -> str:
        """Its name in tables, such as `HYBRID`."""

    @property
    def note(self) -> str:
        """A sentence about its parameters; empty if there is nothing to say."""

    def search(self, queries: Sequence[str]) -> list[list[str]]:
        """Returns for each query the ids of at most `DEPTH` documents, best first."""


class Run(NamedTuple):
    """The documents that a system has found.

    Attributes:
        system: Name of the system.
        found: For each query, in their order, the ids of the documents, best first.
        note: A sentence about its parameters, or empty.
    """

    system: str
    found: Sequence[Sequence[str]]
    note: str = ""
