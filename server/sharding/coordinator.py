"""The coordinator: searches all shards as one index.

It follows the rules, which shards do not know, and measures the baseline of scores over all shards. Its states are
those of one sequence each, so that a search sees the same documents in all shards, and rules of the same moment.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from server.attributes.filter import Filter
from server.catalogue.encoded import Versioned
from server.errors import NotReady
from server.live.completions import SynonymCompletions
from server.ranking.baseline import Baseline
from server.ranking.found import Found
from server.ranking.measuring import is_outdated, measured
from server.ranking.options import SearchOptions
from server.ranking.probes import EncodedProbes
from server.ranking.query_rules import NO_RULES, QueryRules
from server.ranking.search import search
from server.sharding.corpus import Ask, ShardedCorpus
from server.sharding.messages import CountTerms, Question, TermCounts
from server.sharding.shard import KEPT_STATES, StateGone
from server.sharding.statistics import SummedStatistics
from server.suggest.index import SuggestIndex
from server.suggest.view import SuggestView

TRIES = 3
"""Times that a search is tried, each with the newest state, if a shard has no longer the state asked for."""


@dataclass(frozen=True, eq=False)
class ShardedState:
    """A state of all shards; implements `Searched`. Any thread may use it."""

    sequence: int
    rules: QueryRules
    baseline: Baseline
    ask: Ask
    statistics: SummedStatistics
    synonyms: SuggestView

    @property
    def texts(self) -> Sequence[object]:
        """The objects that readings and synonyms depend on."""
        return self.statistics, self.rules.synonyms

    def comparing(self, _: Sequence[NDArray[np.float32]]) -> Self:
        """Returns this state: shards compare vectors one by one."""
        return self

    def corpus(self, filter: Filter | None = None) -> ShardedCorpus:
        """Returns the documents that match a filter."""
        return ShardedCorpus(self.ask, self.sequence, filter, statistics=self.statistics, synonyms=self.synonyms)


class Coordinator:
    """Searches shards. One thread follows the log; any thread may search. All methods that ask shards block."""

    def __init__(
        self, ask: Ask, *, probes: EncodedProbes, title_weight: float = 1.0, kept_states: int = KEPT_STATES
    ) -> None:
        """Takes the function that asks all shards, and the factor of the similarities of titles."""
        self._ask = ask
        self._probes, self._title_weight, self._kept_states = probes, title_weight, kept_states
        self._synonyms, self._suggestions = SynonymCompletions(), SuggestIndex()
        self._rules = NO_RULES
        self._baseline = Baseline({})
        self._measured_sequence: int | None = None
        self._lock = threading.Lock()
        self._states: dict[int, ShardedState] = {}
        self._held: frozenset[int] | None = None
        self._publish(0)

    def follow(self, added: Iterable[Versioned], *, sequence: int, rules: QueryRules | None = None) -> None:
        """Follows a group of changes that the shards follow, too. `added` needs no vectors.

        Unless `hold` is used, call it once all shards have followed the group.
        """
        if rules is not None:
            if rules.synonyms is not self._rules.synonyms:
                self._synonyms.follow(rules.synonyms, self._suggestions)
            self._rules = rules
        self._rules = self._rules.following(added)
        self._publish(sequence)

    def hold(self, sequences: Iterable[Iterable[int]]) -> None:
        """Takes the sequences of the states that each shard has now: searches use the newest one that all have."""
        common = frozenset.intersection(*map(frozenset, sequences))
        with self._lock:
            self._held = common

    @property
    def state(self) -> ShardedState:
        """The newest state that the coordinator and, as far as known, all shards have; raises NotReady."""
        with self._lock:
            held = self._states.keys() if self._held is None else self._states.keys() & self._held
            if not held:
                raise NotReady("the shards have no state in common yet; try again in a moment")
            return self._states[max(held)]

    def search(
        self, text: str, vector: NDArray[np.float32] | None, options: SearchOptions, *, words: str | None = None
    ) -> Found:
        """Returns the best documents for a query; see `server.ranking.search`.

        Raises StateGone if the shards go on faster than it searches.
        """
        for _ in range(TRIES - 1):
            try:
                return search(self.state, text, vector, options, words=words)
            except StateGone:
                continue
        return search(self.state, text, vector, options, words=words)

    @property
    def unmeasured(self) -> bool:
        """Whether the documents have changed so much that the baseline of scores must be measured again."""
        state = self.state
        documents = state.statistics.totals.documents
        return is_outdated(self._measured_sequence, state.sequence, documents=documents)

    def measure(self) -> None:
        """Measures the baseline of scores of all shards, for this state and later ones."""
        state = self.state
        find = state.corpus().find_unreal
        baseline = measured(self._probes, find, state.statistics, weight=self._title_weight)
        self._measured_sequence = state.sequence
        with self._lock:  # Another thread may follow changes meanwhile.
            self._baseline = baseline
            newest = max(self._states)
            self._states[newest] = replace(self._states[newest], baseline=self._baseline)

    def _publish(self, sequence: int) -> None:
        def count(terms: NDArray[np.uint64]) -> list[TermCounts]:
            return [answer for (answer,) in self._ask(Question(sequence, None, (CountTerms(terms),)))]

        statistics, synonyms = SummedStatistics(count), self._suggestions.view()
        with self._lock:
            self._states[sequence] = ShardedState(
                sequence, self._rules, self._baseline, self._ask, statistics, synonyms
            )
            for old in sorted(self._states)[: -self._kept_states]:
                del self._states[old]
