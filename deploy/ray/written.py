"""The index as the committer of an ingress sees it: which changes are stored, and the rules after them."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deploy.ray.index import ShardedIndex
from server.attributes.filter import Filter
from server.catalogue.encoded import Versioned
from server.catalogue.store import Store
from server.errors import ChajaError, NotReady
from server.ranking.query_rules import QueryRules

log = logging.getLogger(__name__)


class Written(NamedTuple):
    """The rules at a sequence, and the shards."""

    sequence: int
    rules: QueryRules
    shards: ShardedIndex

    def matching(self, filter: Filter) -> NDArray[np.int64]:
        """Returns the sequences of the documents that match; raises NotReady if a shard lags."""
        self.shards.advance(self.sequence)
        state = self.shards.state
        if state.sequence != self.sequence:
            raise NotReady("the shards lack the latest changes; try again in a moment")
        return state.matching(filter)


class WrittenIndex:
    """The part of `LiveIndex` that a committer uses. Only its thread, or the holder of its lock, changes it."""

    def __init__(self, store: Store, index: ShardedIndex, *, revision: str) -> None:
        """Reads the rules."""
        self.revision = revision
        self._store = store
        self._index = index
        sequence = store.sequence
        self.state = Written(sequence, QueryRules.read(store.rules, store.sequences_of), index)

    def follow(
        self, added: Sequence[Versioned], retired: Sequence[int], *, sequence: int, rules: QueryRules | None = None
    ) -> None:
        """Follows a commit, and waits a moment until searches see it: a shard that is away delays no later write."""
        self.state = Written(sequence, (rules or self.state.rules).following(added), self._index)
        try:
            self._index.advance(sequence)
        except ChajaError as error:
            log.warning("searches do not see change %d yet: %s", sequence, error)

    def catch_up(self, _: object = None) -> None:
        """Follows the changes of other servers, which their own searches see. Raises StoreUnavailable."""
        sequence, rules = self._store.sequence, self.state.rules
        if self._store.has_rules_after(self.state.sequence):
            rules = QueryRules.read(self._store.rules, self._store.sequences_of)
        elif ids := rules.merchandising.table.document_ids:
            versions = self._store.sequences_of(ids)
            rules = rules._replace(merchandising=rules.merchandising.following(versions.items()))
        self.state = Written(sequence, rules, self._index)

    def refresh(self) -> None:
        """The shards improve their own indexes."""
