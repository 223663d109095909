"""The index that an engine serves: that of this process, or one whose documents are in shards."""

from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from server.attributes.filter import Filter
from server.ranking.corpus import Searched


class Counts(NamedTuple):
    """The numbers of live documents and of their vectors, and whether a graph finds them."""

    documents: int
    vectors: int
    has_graph: bool


class Served(Searched, Protocol):
    """A state that calls use. Immutable, except that a partial one notes which shards have not answered."""

    @property
    def is_remote(self) -> bool:
        """Whether other processes answer, so that the event loop must not wait for its methods."""

    @property
    def document_count(self) -> int:
        """The number of live documents, or what was known of it lately."""

    @property
    def completions(self) -> object:
        """The object that suggestions depend on: the same one in states that suggest the same."""

    @property
    def completion_count(self) -> int:
        """The number of completions of this process."""

    @property
    def counts(self) -> Counts:
        """The numbers of documents and vectors."""

    @property
    def shard_count(self) -> int:
        """The number of shards; 0 if this process has all documents."""

    @property
    def missing_shards(self) -> int:
        """The number of shards whose answers a partial state has gone without."""

    def partial(self) -> Self:
        """Returns the state for one search that may go without the answers of some shards."""

    def warnings(self, filter: Filter) -> list[str]:
        """Returns the warnings of a filter; see `warnings_of`."""

    def matching(self, filter: Filter) -> NDArray[np.int64]:
        """Returns the sequences of the documents that match, ascending."""


class ServedIndex(Protocol):
    """An index whose latest state any thread may read."""

    @property
    def state(self) -> Served:
        """The latest state."""

    def close(self) -> None:
        """Ends the background work. Searches that hold a state still work."""
