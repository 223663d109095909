"""A state of all shards, as the server's calls use it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from deploy.ray.asking import Asker
from server.attributes.filter import Filter
from server.attributes.warnings import asked_attributes, warnings_of
from server.ranking.baseline import Baseline
from server.ranking.local import LocalCorpus
from server.ranking.query_rules import QueryRules
from server.ranking.served import Counts
from server.sharding.coordinator import ShardedState
from server.sharding.corpus import Ask, ShardedCorpus
from server.sharding.messages import CountTerms, Question, TermCounts
from server.sharding.statistics import SummedStatistics


class FindMatching(NamedTuple):
    """Asks a shard for the sequences of the documents that match the question's filter."""

    def answer(self, corpus: LocalCorpus) -> NDArray[np.int64]:
        """Looks the documents up."""
        assert corpus.filter is not None, "the question has one"
        return corpus.slots.sequences[corpus.columns.select(corpus.filter) & corpus.slots.live]


@dataclass(frozen=True, eq=False)
class ServedShards:
    """Implements `Served`. `missing` is None unless the state is partial."""

    sharded: ShardedState
    asker: Asker
    counts: Counts
    missing: set[int] | None = None

    @property
    def sequence(self) -> int:
        """Sequence of the last change."""
        return self.sharded.sequence

    @property
    def rules(self) -> QueryRules:
        """The rules."""
        return self.sharded.rules

    @property
    def baseline(self) -> Baseline:
        """The baseline of scores over all shards."""
        return self.sharded.baseline

    @property
    def texts(self) -> Sequence[object]:
        """The objects that readings and synonyms depend on."""
        return self.sharded.texts

    @property
    def is_remote(self) -> bool:
        """True: shards answer."""
        return True

    @property
    def document_count(self) -> int:
        """The number of documents, as the shards have said lately."""
        return self.counts.documents

    @property
    def completions(self) -> object:
        """The statistics: no other state has the same ones."""
        return self.sharded.statistics

    @property
    def completion_count(self) -> int:
        """The shards have the completions."""
        return 0

    @property
    def shard_count(self) -> int:
        """The number of shards."""
        return self.asker.count

    @property
    def missing_shards(self) -> int:
        """The number of shards that have not answered a partial state."""
        return len(self.missing or ())

    def corpus(self, filter: Filter | None = None) -> ShardedCorpus:
        """Returns the documents that match a filter."""
        return self.sharded.corpus(filter)

    def partial(self) -> Self:
        """Returns this state for one search, which goes without the shards that do not answer."""
        missing: set[int] = set()
        ask = partial(self.asker.ask_some, missing=missing)
        sharded = replace(self.sharded, ask=ask, statistics=_statistics(ask, self.sequence))
        return replace(self, sharded=sharded, missing=missing)

    def comparing(self, vectors: Sequence[NDArray[np.float32]]) -> Self:
        """Returns this state: shards compare the vectors."""
        return self

    def warnings(self, filter: Filter) -> list[str]:
        """Returns the warnings of a filter."""
        return warnings_of(filter, (), self.corpus().summary(asked_attributes(filter, ())).attributes)

    def matching(self, filter: Filter) -> NDArray[np.int64]:
        """Returns the sequences of the documents that match, ascending."""
        answers = self.sharded.ask(Question(self.sequence, filter, (FindMatching(),)))
        return np.sort(np.concatenate([sequences for (sequences,) in answers]))


def _statistics(ask: Ask, sequence: int) -> SummedStatistics:
    def count(terms: NDArray[np.uint64]) -> list[TermCounts]:
        return [answer for (answer,) in ask(Question(sequence, None, (CountTerms(terms),)))]

    return SummedStatistics(count)
