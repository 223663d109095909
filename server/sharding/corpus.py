"""The corpus of all shards: asks each of them, and merges their answers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from server.attributes.facets import merged_facet
from server.attributes.filter import Filter, Kind
from server.attributes.warnings import Attributes
from server.lexical.statistics import QueryTerms
from server.lexical.titles import TitleHits, chosen_titles
from server.merchandising.rule import Boost
from server.nearest import MOST_NAMES
from server.ranking.corpus import (
    Burying,
    Candidate,
    LegsFound,
    LegsQuery,
    Moved,
    Similarity,
    Suggested,
    Summary,
)
from server.sharding.messages import (
    SYNONYM_SEQUENCE,
    CompareVectors,
    Complete,
    FindBoosts,
    FindBurials,
    FindLegs,
    FindMoved,
    FindTitles,
    PartLegs,
    PartSimilarities,
    Question,
    Request,
    ScoreWords,
    Summarize,
)
from server.sharding.statistics import SummedStatistics
from server.suggest.merging import Placed, merged_suggestions
from server.suggest.view import SuggestView

Ask = Callable[[Question], Sequence[tuple[Any, ...]]]
"""Asks all shards at once; returns their answers, in the order of shards. Raises StateGone."""


class ShardedCorpus:
    """Implements `Corpus` for the documents of all shards that match a filter."""

    def __init__(
        self, ask: Ask, sequence: int, filter: Filter | None, *, statistics: SummedStatistics, synonyms: SuggestView
    ) -> None:
        """Takes the completions of synonyms, which belong to no shard."""
        self._ask_all = ask
        self._sequence, self._filter = sequence, filter
        self._synonyms = synonyms
        self.statistics = statistics

    @property
    def compared_at_once(self) -> int:
        """All: another round of messages takes longer."""
        return 2**31

    def expect(self, text: str) -> None:
        """Asks for the statistics of a typed text's words."""
        self.statistics.expect(text)

    def find(self, query: LegsQuery) -> LegsFound:
        """Returns the best documents."""
        return merged_legs(query, self._ask(FindLegs(query)))

    def find_unreal(self, queries: Sequence[LegsQuery]) -> list[LegsFound]:
        """Returns the best documents for several queries that no user has asked."""
        requests = tuple(FindLegs(query, real=False) for query in queries)
        answers = self._ask_all(Question(self._sequence, self._filter, requests))
        return [merged_legs(query, parts) for query, parts in zip(queries, zip(*answers, strict=True), strict=True)]

    def similarities(self, vector: NDArray[np.float32], sequences: Sequence[int]) -> dict[int, Similarity]:
        """Returns the similarities of documents, by sequence."""
        answers = self._ask(CompareVectors(vector, np.array(sequences, np.int64)))
        return {each.sequence: each for each in _similarities(answers)}

    def lexical_scores(self, terms: QueryTerms, sequences: Sequence[int]) -> dict[int, float]:
        """Returns the scores by words of documents, by sequence."""
        scores: dict[int, float] = {}
        for answer in self._ask(ScoreWords(terms, np.array(sequences, np.int64))):
            scores |= answer
        return scores

    def titles(self, text: str) -> TitleHits:
        """Returns at most one document whose title equals a text, and one whose title begins with it."""
        answers = self._ask(FindTitles(text))
        exact, prefix = (sorted(sequence for each in kind for sequence in each) for kind in zip(*answers, strict=True))
        return TitleHits(exact[:1], prefix[:1])

    def complete(self, text: str, *, limit: int) -> list[str]:
        """Returns the texts that fit one without errors, best first."""
        return [found.text for found, _ in self._completed(Complete(text, limit, exact=True))]

    def suggest(self, typed: str, *, limit: int, language: str | None, ranges: bool) -> list[Suggested]:
        """Returns the completions of a typed text. Their slots mean nothing."""
        return [Suggested(*found) for found in self._completed(Complete(typed, limit, language, ranges))]

    def moved(self, pinned: Sequence[int], burying: Burying) -> Moved:
        """Returns which pinned documents may be found, and whether any document is buried."""
        answers = self._ask(FindMoved(tuple(pinned), burying))
        return Moved(frozenset().union(*(each.pinned for each in answers)), any(each.buries for each in answers))

    def burial_places(self, burying: Burying, sequences: Sequence[int]) -> list[int]:
        """Returns for each document the place of the rule that buries it."""
        # A shard answers NOT_BURIED, the lowest place, for documents that it lacks.
        places: list[int] = np.max(self._ask(FindBurials(burying, np.array(sequences, np.int64))), axis=0).tolist()
        return places

    def boost_values(self, boosts: Sequence[Boost], sequences: Sequence[int], *, seconds: int) -> NDArray[np.float64]:
        """Returns the values that boosts give to documents."""
        answers = self._ask(FindBoosts(tuple(boosts), np.array(sequences, np.int64), seconds))
        values: NDArray[np.float64] = np.sum(answers, axis=0)  # All but one are 0.
        return values

    def summary(self, asked: Sequence[str], *, facets: Sequence[str] = ()) -> Summary:
        """Returns the types of attributes, and the counts of facets."""
        attributes, counts = zip(*self._ask(Summarize(tuple(asked), tuple(facets))), strict=True)
        merged = [merged_facet(facet, [own[place] for own in counts]) for place, facet in enumerate(facets)]
        return Summary(_merged_attributes(asked, attributes), merged)

    def _completed(self, request: Complete) -> list[Any]:
        placed: list[Placed] = [each for answer in self._ask(request) for each in answer]
        if self._filter is None:  # Synonyms match no filter.
            typed, limit, language, ranges, exact = request
            parts = self._synonyms.parts(typed, limit=limit, language=language, ranges=ranges, exact=exact)
            placed += [Placed(part, SYNONYM_SEQUENCE, "") for part in parts]
        return merged_suggestions(placed, limit=request.limit)

    def _ask(self, request: Request) -> list[Any]:
        return [answer for (answer,) in self._ask_all(Question(self._sequence, self._filter, (request,)))]


def merged_legs(query: LegsQuery, parts: Sequence[PartLegs]) -> LegsFound:
    """Returns the best documents of all shards."""
    dense = _similarities(part.dense for part in parts)
    dense = sorted(dense, key=lambda each: (-each.score, each.sequence))[: query.limit]
    scored = ((part.lexical.tolist(), part.lexical_scores.tolist()) for part in parts)
    lexical = [Candidate(*each) for sequences, scores in scored for each in zip(sequences, scores, strict=True)]
    lexical = sorted(lexical, key=lambda each: (-each.score, each.sequence))[: query.limit]
    titles = [part.titles for part in parts if part.titles is not None]
    found = LegsFound(dense, lexical, respelled=any(part.respelled for part in parts))
    if not titles:
        return found
    among = [*(each.sequence for each in dense), *(each.sequence for each in lexical)]
    return found._replace(titles=chosen_titles(titles, limit=query.limit, among=among))


def _similarities(parts: Iterable[PartSimilarities]) -> list[Similarity]:
    columns = ((part.sequences.tolist(), part.parts.tolist(), part.scores.tolist()) for part in parts)
    return [Similarity(*each) for own in columns for each in zip(*own, strict=True)]


def _merged_attributes(asked: Sequence[str], parts: Sequence[Attributes]) -> Attributes:
    kinds = {
        name: [kind for kind in get_args(Kind) if any(kind in part.kinds[name] for part in parts)] for name in asked
    }
    names = sorted({name for part in parts for name in part.names})[:MOST_NAMES]
    return Attributes(kinds, names)
