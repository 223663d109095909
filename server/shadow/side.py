"""One of the two sides: a bundle and documents, in an index that is searched exactly."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from server.catalogue.document import Document
from server.catalogue.encoded import Versioned
from server.encoding.bundle import Bundle
from server.encoding.documents import CHUNK_TEXTS
from server.encoding.kind import TextKind
from server.feedback.policy import without_case_and_end_marks
from server.live.exact import exact_index
from server.merchandising.view import SequencesOf
from server.ranking.options import Asked, Mode, SearchOptions
from server.ranking.probes import encode_probes
from server.ranking.query_rules import QueryRules
from server.ranking.search import search
from server.ranking.understanding import reading_of, understand
from server.shadow.recordings import Recording

DEPTH = 10
"""Hits of a query that are compared."""

PORTION_DOCUMENTS = 512
"""Documents that are indexed at a time."""


class Hit(NamedTuple):
    """A document that was found."""

    id: str
    score: float


class Answer(NamedTuple):
    """The answer to a query, the best hit first."""

    hits: list[Hit]
    no_good_answer: bool

    @property
    def ids(self) -> list[str]:
        """The ids of the hits."""
        return [hit.id for hit in self.hits]


class Side:
    """A bundle and encoded documents with the rules of a store, searched as the server does. All methods block.

    Attributes:
        bundle: The bundle.
        documents: The documents by id.
        titles: Their titles by id.
        example_keys: The keys of their example queries.
    """

    def __init__(
        self,
        bundle: Bundle,
        versions: Sequence[Versioned],
        *,
        rules: Callable[[SequencesOf], QueryRules],
        folder: Path,
        pool: Executor,
    ) -> None:
        """Indexes documents, whose sequences ascend. The index uses temporary files in `folder` until it is made."""
        self.bundle = bundle
        self.documents: dict[str, Document] = {each.document.id: each.document for each in versions}
        self.titles = {id: each.title_in("") for id, each in self.documents.items()}
        self.example_keys = {
            without_case_and_end_marks(text) for each in self.documents.values() for text in each.examples
        }
        self._pool = pool
        self._ids = {each.sequence: each.document.id for each in versions}
        sequences = {id: sequence for sequence, id in self._ids.items()}

        def sequences_of(ids: Iterable[str]) -> Mapping[str, int]:
            return {id: sequences[id] for id in ids if id in sequences}

        index = exact_index(bundle.manifest, encode_probes(bundle), folder=folder)
        try:
            for start in range(0, len(versions), PORTION_DOCUMENTS):
                portion = versions[start : start + PORTION_DOCUMENTS]
                index.follow(portion, [], sequence=portion[-1].sequence)
            index.follow([], [], sequence=index.state.sequence, rules=rules(sequences_of))
            index.measure()
            index.refresh()
            self._state = index.state
        finally:
            index.close()

    def answers(self, recordings: Sequence[Recording], mode: Mode) -> list[Answer]:
        """Searches all queries in a mode, with interpretation, synonyms and rules."""
        chunks = [recordings[start : start + CHUNK_TEXTS] for start in range(0, len(recordings), CHUNK_TEXTS)]
        answered = self._pool.map(lambda chunk: list(self._answers(chunk, mode)), chunks)
        return [answer for each in answered for answer in each]

    def _answers(self, recordings: Sequence[Recording], mode: Mode) -> Iterator[Answer]:
        state = self._state
        queries = [
            understand(each.text, reading_of(each.text, state), state, mode, language=each.language)
            for each in recordings
        ]
        vectors = self.bundle.encode_texts([(each.text, TextKind.QUERY) for each in queries])
        plain = SearchOptions(DEPTH, mode, seconds=int(time.time()))
        for recording, query, vector in zip(recordings, queries, vectors, strict=True):
            options = replace(plain, asked=Asked(query.read, recording.language))
            found = search(state, query.text, vector, options, words=query.words)
            hits = [Hit(self._ids[each.sequence], each.score) for each in found.documents]
            yield Answer(hits, found.no_good_answer)


def milliseconds_of(bundles: Sequence[Bundle], texts: Sequence[str]) -> list[list[float]]:
    """Returns for each bundle the time to tokenize and encode each text on its own, in milliseconds.

    The bundles take turns, so that other work on this machine slows all of them down alike.
    """
    times: list[list[float]] = [[] for _ in bundles]
    for text in texts:
        for bundle, own in zip(bundles, times, strict=True):
            started = time.perf_counter()
            bundle.encode_texts([(text, TextKind.QUERY)])
            own.append(1e3 * (time.perf_counter() - started))
    return times
