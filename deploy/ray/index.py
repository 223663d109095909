"""The index of a server whose documents are in shards: it knows the rules, and which state all shards have."""

import logging
import threading
from collections.abc import Iterable

from deploy.ray.asking import Asker
from deploy.ray.spans import Reached, newest_common
from deploy.ray.state import ServedShards
from server.catalogue.store import Store
from server.errors import NotReady, ShardUnavailable
from server.ranking.probes import EncodedProbes
from server.ranking.query_rules import NO_RULES, QueryRules
from server.ranking.served import Counts
from server.sharding.coordinator import Coordinator

log = logging.getLogger(__name__)

TRIES = 3
"""Times that shards are asked for a state while rules change."""


class ShardedIndex:
    """Implements `ServedIndex`. Its methods block: any thread but that of the event loop may use them."""

    def __init__(self, store: Store, asker: Asker, *, probes: EncodedProbes, title_weight: float) -> None:
        """Begins without a state. `title_weight` is the factor of the similarities of titles."""
        self._store = store
        self._asker = asker
        self._coordinator = Coordinator(asker.ask, probes=probes, title_weight=title_weight)
        self._rules = NO_RULES
        self._rules_sequence = -1  # The rules are those of this sequence.
        self._state: ServedShards | None = None
        self._advancing, self._measuring = threading.Lock(), threading.Lock()
        self.has_all_shards = False
        """Whether all shards have answered at the same time."""

    @property
    def state(self) -> ServedShards:
        """The newest state that all shards have; raises NotReady before there is one."""
        if self._state is None:
            raise NotReady("the shards are still loading; try again in a few seconds")
        return self._state

    @property
    def is_complete(self) -> bool:
        """Whether there is a state, and it has all changes of the store that are known."""
        return self._state is not None and self._state.sequence >= self._store.sequence

    def advance(self, sequence: int = 0) -> None:
        """Goes to the newest state that all shards have, after they have read a change or a moment has passed.

        Raises ShardUnavailable if no shard answers, and StoreUnavailable.
        """
        with self._advancing:
            for _ in range(TRIES):
                self._store.refresh()
                reached = self._asker.reach(max(sequence, self._store.sequence))
                if not reached:
                    raise ShardUnavailable(f"none of {self._asker.count} shards answers; try again in a moment")
                self.has_all_shards = self.has_all_shards or len(reached) == self._asker.count
                if self._go(reached):
                    return

    def measure(self) -> None:
        """Measures the baseline of scores again if the documents have changed much.

        Searches see newer states meanwhile. Raises ShardUnavailable or StateGone.
        """
        with self._measuring:
            if self._state is None or not self._coordinator.unmeasured:
                return
            self._coordinator.measure()
            with self._advancing:
                self._publish(self._state.counts)

    def close(self) -> None:
        """The shards have the documents; nothing is left to end."""

    def _go(self, reached: list[Reached]) -> bool:
        """Goes to the newest common state of shards; returns False if rules have changed since."""
        common = newest_common([each.spans for each in reached])
        counts = _sum(each.counts for each in reached)
        if common is None or (self._state is not None and common <= self._state.sequence):
            if self._state is not None and self._state.counts != counts:
                self._publish(counts)
            return True
        rules = self._rules_at(common)
        if rules is None:
            return False
        self._rules, self._rules_sequence = rules, common
        self._coordinator.follow((), sequence=common, rules=rules)
        self._publish(counts)
        return True

    def _publish(self, counts: Counts) -> None:
        self._state = ServedShards(self._coordinator.state, self._asker, counts)

    def _rules_at(self, sequence: int) -> QueryRules | None:
        """Returns the rules at a sequence; None if they have changed since."""
        rules = self._rules
        known = rules.merchandising.sequences

        def versions(ids: Iterable[str]) -> dict[str, int]:
            # If a document has changed since, the state has the version before, which may be known.
            found = self._store.sequences_of(ids)
            return {id: version if version <= sequence else known.get(id, version) for id, version in found.items()}

        if self._store.has_rules_after(self._rules_sequence):
            rules = QueryRules.read(self._store.rules, versions)
        elif ids := rules.merchandising.table.document_ids:
            followed = rules.merchandising.following(versions(ids).items())
            rules = rules if followed == rules.merchandising else rules._replace(merchandising=followed)
        return None if self._store.has_rules_after(sequence) else rules


def _sum(counts: Iterable[Counts]) -> Counts:
    documents, vectors, graphs = zip(*counts, strict=True)
    return Counts(sum(documents), sum(vectors), any(graphs))
