"""Answers the same queries with one index and with shards, and counts the answers that are equal in every field."""

import pickle
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.sharding.made import DIMENSION, FILTERS, Catalogue, Encoder, Group, Query
from server.attributes.filter import Filter
from server.live.index import LiveIndex
from server.merchandising.view import MerchandisingView
from server.ranking.corpus import Searched
from server.ranking.options import Mode, SearchOptions
from server.ranking.probes import EncodedProbes
from server.ranking.query_rules import QueryRules
from server.ranking.search import search
from server.ranking.state import State
from server.ranking.understanding import reading_of, understand
from server.sharding.coordinator import Coordinator
from server.sharding.messages import Question
from server.sharding.shard import Shard, StateGone
from server.synonyms.table import SynonymTable
from server.vectors.dense import DenseIndex, DenseOptions

GROUP_DOCUMENTS = 1000
"""Documents of a group that fills the indexes."""

CHANGED_DOCUMENTS = 20
"""Documents of a group that changes them."""

REPORT_QUERIES = 200
"""Queries after which the progress is shown."""

SUGGESTIONS = 8

WEIGHTS = (1.0, 0.9, 0.95)

PAUSE_SECONDS = 0.005
"""Pause of the thread that changes documents between two shards, so that searches see shards of different sequences."""


@dataclass
class Counts:
    """Answers compared, and those that were equal. `gone` counts searches whose state a shard had no longer."""

    compared: int = 0
    equal: int = 0
    gone: int = 0
    different: list[str] = field(default_factory=list)

    def add(self, query: Query, options: SearchOptions, *, equal: bool) -> None:
        """Counts an answer."""
        self.compared += 1
        self.equal += equal
        if not equal:
            self.different.append(f"{query.text!r} {options}")


class Cluster:
    """Shards in this process and their coordinator. All messages are pickled on their way."""

    def __init__(self, count: int, folder: Path, *, encoder: Encoder, hnsw_from_vectors: int) -> None:
        indexes = [empty_index(folder, encoder, hnsw_from_vectors=hnsw_from_vectors) for _ in range(count)]
        self.shards = [Shard(index, number=number, count=count) for number, index in enumerate(indexes)]
        self.coordinator = Coordinator(self.ask, probes=_probes(encoder), title_weight=WEIGHTS[0])
        self.rounds = 0

    def ask(self, question: Question) -> list[tuple[Any, ...]]:
        """Asks the shards, one after the other."""
        self.rounds += 1
        sent = pickle.dumps(question)
        answers = [pickle.dumps(shard.answer(pickle.loads(sent))) for shard in self.shards]  # noqa: S301
        return [pickle.loads(answer) for answer in answers]  # noqa: S301

    def follow(self, group: Group, rules: QueryRules, *, pause_seconds: float = 0.0) -> None:
        """Follows a group of changes."""
        for shard in self.shards:
            shard.follow(group.added, group.retired, sequence=group.sequence)
            time.sleep(pause_seconds)
        self.coordinator.follow(group.added, sequence=group.sequence, rules=rules)


class Comparison:
    """One index, and clusters of several sizes, all of the same documents and rules."""

    def __init__(
        self, sizes: Sequence[int], folder: Path, *, documents: int, encoder: Encoder, hnsw_from_vectors: int
    ) -> None:
        self._encoder = encoder
        self._catalogue = Catalogue(encoder, documents)
        self._index = empty_index(folder, encoder, hnsw_from_vectors=hnsw_from_vectors)
        self.clusters = {
            size: Cluster(size, folder, encoder=encoder, hnsw_from_vectors=hnsw_from_vectors) for size in sizes
        }
        rules = self._catalogue.rules()
        synonyms = SynonymTable(self._catalogue.synonyms())
        self._rules = QueryRules(synonyms, MerchandisingView.of(rules, lambda _: {}))
        self._states: dict[int, State] = {}
        for group in self._catalogue.all(GROUP_DOCUMENTS):
            self._follow(group)
        self.measure()

    def measure(self) -> None:
        """Measures all baselines of scores."""
        self._index.dense.wait()
        self._index.measure()
        self._index.refresh()
        self._states[self._index.state.sequence] = self._index.state
        for cluster in self.clusters.values():
            for shard in cluster.shards:
                shard.index.dense.wait()
                shard.refresh()
            cluster.coordinator.measure()
            cluster.rounds = 0

    def compare(self, queries: Sequence[Query]) -> dict[tuple[int, Mode], Counts]:
        """Compares the answers to all queries in all modes with all filters, by number of shards and mode."""
        counts = {(size, mode): Counts() for size in self.clusters for mode in Mode}
        for number, query in enumerate(queries):
            self._report(number, queries, counts.values())
            for filter in FILTERS:
                self._compare(query, filter, counts)
        return counts

    def compare_changing(self, queries: Sequence[Query], *, change_every: int) -> dict[tuple[int, Mode], Counts]:
        """Does the same with one filter for each query, the next one for the next query.

        The documents change after every `change_every` queries, and the baselines are measured when they are outdated.
        """
        counts = {(size, mode): Counts() for size in self.clusters for mode in Mode}
        for number, query in enumerate(queries):
            self._report(number, queries, counts.values())
            if number % change_every == 0:
                self._follow(self._catalogue.change(CHANGED_DOCUMENTS))
                if self._index.unmeasured:
                    self.measure()
            self._compare(query, FILTERS[number % len(FILTERS)], counts)
        return counts

    def compare_beside_changes(self, queries: Sequence[Query]) -> dict[int, Counts]:
        """Compares answers while another thread changes the documents, each with that of the same sequence."""
        counts = {size: Counts() for size in self.clusters}
        done = threading.Event()

        def change() -> None:
            while not done.is_set():
                self._follow(self._catalogue.change(CHANGED_DOCUMENTS), pause_seconds=PAUSE_SECONDS)

        changing = threading.Thread(target=change)
        changing.start()
        try:
            for number, query in enumerate(queries):
                options = replace(
                    query.options, mode=list(Mode)[number % len(Mode)], filter=FILTERS[number % len(FILTERS)]
                )
                for size, cluster in self.clusters.items():
                    state = cluster.coordinator.state
                    try:
                        found = self._answers(state, query, options)
                    except StateGone:
                        counts[size].gone += 1
                        continue
                    one = self._answers(self._states[state.sequence], query, options)
                    counts[size].add(query, options, equal=found == one)
        finally:
            done.set()
            changing.join()
        return counts

    def overlap(self, queries: Sequence[Query]) -> dict[int, float]:
        """Returns the share of the dense hits of one index, without filters and rules, that shards find, too."""
        shares: dict[int, list[float]] = {size: [] for size in self.clusters}
        for query in queries:
            vector = self._encoder.encode([query.text])[0]
            states: list[Searched] = [self._index.state, *(each.coordinator.state for each in self.clusters.values())]
            hits = [search(state, query.text, vector, SearchOptions(10)).documents for state in states]
            one, *others = ({each.sequence for each in found} for found in hits)
            for size, found in zip(shares, others, strict=True):
                shares[size].append(len(one & found) / len(one))
        return {size: sum(each) / len(each) for size, each in shares.items()}

    def close(self) -> None:
        """Ends the background work."""
        for index in (self._index, *(shard.index for each in self.clusters.values() for shard in each.shards)):
            index.close()

    def _follow(self, group: Group, *, pause_seconds: float = 0.0) -> None:
        self._rules = self._rules.following(group.added)
        self._index.follow(group.added, group.retired, sequence=group.sequence, rules=self._rules)
        self._states[group.sequence] = self._index.state
        for cluster in self.clusters.values():
            cluster.follow(group, self._rules, pause_seconds=pause_seconds)

    def _report(self, number: int, queries: Sequence[Query], counts: Iterable[Counts]) -> None:
        if number and number % REPORT_QUERIES == 0:
            different = sum(each.compared - each.equal for each in counts)
            print(f"  {number:,} queries so far, {different:,} different answers", file=sys.stderr, flush=True)

    def _compare(self, query: Query, filter: Filter | None, counts: Mapping[tuple[int, Mode], Counts]) -> None:
        for mode in Mode:
            options = replace(query.options, mode=mode, filter=filter)
            one = self._answers(self._index.state, query, options)
            for size, cluster in self.clusters.items():
                found = self._answers(cluster.coordinator.state, query, options)
                counts[size, mode].add(query, options, equal=found == one)

    def _answers(self, state: Searched, query: Query, options: SearchOptions) -> tuple[object, ...]:
        """Returns how a query is understood, its result and, in one mode each, the next page and the suggestions."""
        reading = reading_of(query.text, state, filter=options.filter)
        understood = understand(query.text, reading, state, options.mode)
        vector = self._encoder.encode([understood.text])[0]
        pages = [search(state, understood.text, vector, options, words=understood.words)]
        if pages[0].end is not None and options.mode is Mode.HYBRID:
            following = replace(options, after=pages[0].end)
            pages.append(search(state, understood.text, vector, following, words=understood.words))
        if options.mode is not Mode.LEXICAL:
            return understood, pages
        suggested = state.corpus(options.filter).suggest(query.text, limit=SUGGESTIONS, language=None, ranges=True)
        return understood, pages, [(found._replace(slot=0), id) for found, id in suggested]


def empty_index(folder: Path, encoder: Encoder, *, hnsw_from_vectors: int) -> LiveIndex:
    """Returns an empty index."""
    options = DenseOptions(hnsw_from_vectors=hnsw_from_vectors)
    dense = DenseIndex(DIMENSION, "cosine", "f16", folder=folder, options=options)
    return LiveIndex("made", dense, probes=_probes(encoder), weights=WEIGHTS)


def _probes(encoder: Encoder) -> EncodedProbes:
    return EncodedProbes(encoder.encode, compares_queries=True)
