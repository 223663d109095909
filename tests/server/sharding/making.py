"""Shards in this process, and one index that follows the same changes."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from server.catalogue.encoded import Versioned
from server.ranking.query_rules import QueryRules
from server.sharding.coordinator import Coordinator
from server.sharding.messages import Question
from server.sharding.shard import Shard
from tests.server.catalogues import WEIGHTS, Group, Log, empty_index, probes


class Cluster:
    """Some shards and their coordinator. All messages are pickled on their way."""

    def __init__(self, count: int, folder: Path) -> None:
        self.shards = [Shard(empty_index(folder), number=number, count=count) for number in range(count)]
        self.coordinator = Coordinator(self.ask, probes=probes(), title_weight=WEIGHTS[0])
        self.rounds = 0

    def ask(self, question: Question) -> list[tuple[Any, ...]]:
        """Asks all shards."""
        self.rounds += 1
        sent = pickle.dumps(question)
        answers = [pickle.dumps(shard.answer(pickle.loads(sent))) for shard in self.shards]  # noqa: S301
        return [pickle.loads(answer) for answer in answers]  # noqa: S301

    def follow(self, added: Sequence[Versioned], retired: Sequence[int], sequence: int, rules: QueryRules) -> None:
        """Follows a group of changes."""
        for shard in self.shards:
            shard.follow(added, retired, sequence=sequence)
        self.coordinator.follow(added, sequence=sequence, rules=rules)

    def close(self) -> None:
        """Ends the background work."""
        for shard in self.shards:
            shard.index.close()


class Both:
    """Shards and one index, with the same documents and rules."""

    def __init__(self, count: int, folder: Path) -> None:
        self.log = Log()
        self.one, self.cluster = empty_index(folder), Cluster(count, folder)

    def follow(self, group: Group, rules: QueryRules) -> None:
        """Follows a group of changes."""
        added, retired, sequence = group
        self.one.follow(added, retired, sequence=sequence, rules=rules)
        self.cluster.follow(added, retired, sequence, rules)

    def measure(self) -> None:
        """Measures both baselines."""
        assert self._unmeasured() == (True, True)
        self.one.measure()
        self.one.refresh()
        self.cluster.coordinator.measure()
        assert self._unmeasured() == (False, False)

    def _unmeasured(self) -> tuple[bool, bool]:
        return self.one.unmeasured, self.cluster.coordinator.unmeasured

    def close(self) -> None:
        """Ends the background work."""
        self.one.close()
        self.cluster.close()
