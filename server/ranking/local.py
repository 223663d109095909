"""The corpus of one index."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from server.attributes.columns import ColumnsView
from server.attributes.facets import PartCounts, counts_of, facet_of
from server.attributes.filter import AnyOf, Filter
from server.attributes.warnings import Attributes
from server.lexical.statistics import QueryTerms, TermStatistics
from server.lexical.titles import TitleHits, TitleMatches, TitlesView, chosen_titles
from server.lexical.view import LexicalView
from server.merchandising.boosts import boost_values
from server.merchandising.rule import Boost
from server.ranking.corpus import (
    NOT_BURIED,
    Burying,
    Candidate,
    LegsFound,
    LegsQuery,
    Moved,
    Part,
    Similarity,
    Suggested,
    Summary,
)
from server.ranking.slots import DocumentSlotsView
from server.suggest.view import SuggestView
from server.vectors.view import DenseView, Match


@dataclass(eq=False)
class LocalCorpus:
    """Implements `Corpus` with the views of an index. It is made for one search, since it keeps masks of slots."""

    slots: DocumentSlotsView
    ids: Sequence[str]
    dense: DenseView
    lexical: LexicalView
    title_view: TitlesView
    columns: ColumnsView
    suggestions: SuggestView
    weights: tuple[float, ...]
    filter: Filter | None

    @property
    def statistics(self) -> TermStatistics:
        """The statistics of all documents."""
        return self.lexical

    @property
    def compared_at_once(self) -> int:
        """Few: often the first documents are similar enough, and each takes some time."""
        return 32

    def expect(self, text: str) -> None:
        """Needs no preparation."""

    def find(self, query: LegsQuery) -> LegsFound:
        """Returns the best documents."""
        found, matches = self.find_parts(query)
        if matches is None:
            return found
        sequences = [*(each.sequence for each in found.dense), *(each.sequence for each in found.lexical)]
        return found._replace(titles=chosen_titles([matches], limit=query.limit, among=sequences))

    def find_parts(self, query: LegsQuery) -> tuple[LegsFound, TitleMatches | None]:
        """Returns the best documents, and instead of their titles those from which to choose; None without a title."""
        allowed = self._part(query)
        near: list[Match] = []
        slots: list[int] = []
        lexical: list[Candidate] = []
        if query.vector is not None:
            exact = self.filter is not None  # With a filter, no match may be missed.
            near = self.dense.search(
                query.vector, limit=query.limit, allowed=allowed, weights=self.weights, exact=exact
            )
        if query.terms is not None:
            hits = self.lexical.score(query.terms, limit=query.limit, allowed=allowed)
            slots = hits.slots.tolist()
            lexical = list(map(Candidate, self._sequences(hits.slots), hits.scores.tolist()))
        found = LegsFound(self._similarities(near), lexical)
        if not query.title:
            return found, None
        # Always check the titles of the candidates. Otherwise the first hits would depend on the limit.
        among = list({*slots, *(match.slot for match in near)})
        matches = self.title_view.matching(query.title, limit=query.limit, among=among, allowed=allowed)
        sequences = self.slots.sequences
        matches = matches._replace(
            exact=sequences[matches.exact], prefixes=sequences[matches.prefixes], others=sequences[matches.others]
        )
        respelled = False
        if query.respelled and not (len(matches.exact) or len(matches.prefixes)):
            respelled = any(self.title_view.find(query.respelled, limit=1, allowed=allowed))
        return found._replace(respelled=respelled), matches

    def similarities(self, vector: NDArray[np.float32], sequences: Sequence[int]) -> dict[int, Similarity]:
        """Returns the similarities of the documents that the index has, by sequence."""
        slots = self.slots.slots_of(sequences).tolist()
        best = self.dense.best_of(vector, slots, weights=self.weights)
        return {each.sequence: each for each in self._similarities(list(best.values()))}

    def lexical_scores(self, terms: QueryTerms, sequences: Sequence[int]) -> dict[int, float]:
        """Returns the scores by words of documents, by sequence."""
        allowed = np.zeros(len(self.slots.sequences), np.bool_)
        allowed[self.slots.slots_of(sequences)] = True
        hits = self.lexical.score(terms, limit=len(sequences), allowed=allowed)
        return dict(zip(self._sequences(hits.slots), hits.scores.tolist(), strict=True))

    def titles(self, text: str) -> TitleHits:
        """Returns at most one document whose title equals a text, and one whose title begins with it."""
        exact, prefix = self.title_view.find(text, limit=1, allowed=self._allowed)
        return TitleHits(self._sequences(exact), self._sequences(prefix))

    def complete(self, text: str, *, limit: int) -> list[str]:
        """Returns the texts that fit one without errors, best first."""
        return self.suggestions.exact(text, limit=limit, allowed=self.completed)

    def suggest(self, typed: str, *, limit: int, language: str | None, ranges: bool) -> list[Suggested]:
        """Returns the completions of a typed text."""
        found = self.suggestions.suggest(typed, limit=limit, allowed=self.completed, language=language, ranges=ranges)
        return [Suggested(each, self.ids[each.slot] if each.slot >= 0 else "") for each in found]

    def moved(self, pinned: Sequence[int], burying: Burying) -> Moved:
        """Returns which pinned documents may be found, and whether any document is buried."""
        buries = bool(burying.burials) and bool((self._places(burying) != NOT_BURIED).any())
        return Moved(frozenset(self._found(pinned)), buries)

    def burial_places(self, burying: Burying, sequences: Sequence[int]) -> list[int]:
        """Returns for each document the place of the rule that buries it; `NOT_BURIED` if the index lacks it."""
        places = dict.fromkeys(sequences, NOT_BURIED)
        slots = self.slots.slots_of(sequences)
        places.update(zip(self._sequences(slots), self._places(burying)[slots].tolist(), strict=True))
        return list(places.values())

    def boost_values(self, boosts: Sequence[Boost], sequences: Sequence[int], *, seconds: int) -> NDArray[np.float64]:
        """Returns the values that boosts give to documents; 0 if the index lacks the document."""
        values = np.zeros((len(boosts), len(sequences)))
        slots = self.slots.slots_of(sequences)
        own = np.isin(sequences, self.slots.sequences[slots])
        for boost, row in zip(boosts, values, strict=True):
            row[own] = boost_values(boost, self.columns, slots, seconds=seconds)
        return values

    def summary(self, asked: Sequence[str], *, facets: Sequence[str] = ()) -> Summary:
        """Returns the types of attributes, and the counts of facets."""
        return Summary(self.attributes(asked), [facet_of(each, self.columns, self._allowed) for each in facets])

    def attributes(self, asked: Sequence[str]) -> Attributes:
        """Returns the types of attributes in all live documents."""
        return Attributes.of(asked, self.columns, self.slots.live)

    def facet_parts(self, facets: Sequence[str]) -> list[PartCounts | None]:
        """Counts all values of facets; see `merged_facet`."""
        return [counts_of(each, self.columns, self._allowed) for each in facets]

    @cached_property
    def _allowed(self) -> NDArray[np.bool_] | None:
        """For each slot, whether its document may be found; None allows all."""
        if self.filter is not None:
            return self.columns.select(self.filter) & self.slots.live
        return self.slots.live if self.slots.dead_count else None

    @property
    def completed(self) -> NDArray[np.bool_] | None:
        """For each slot, whether its document may be suggested; None allows all, and synonyms."""
        # Completions of dead documents are removed, and those of synonyms match no filter.
        return None if self.filter is None else self._allowed

    def _part(self, query: LegsQuery) -> NDArray[np.bool_] | None:
        if query.part is Part.ALL or query.burying is None:
            return self._allowed
        places = self._places(query.burying)
        mask: NDArray[np.bool_] = (places != NOT_BURIED) if query.part is Part.BURIED else (places == NOT_BURIED)
        return mask if self._allowed is None else self._allowed & mask

    def _places(self, burying: Burying) -> NDArray[np.int8]:
        """Returns for each slot the place of the rule that buries its document."""
        places = np.full(len(self.slots.sequences), NOT_BURIED, np.int8)
        for place, sequences, conditions in reversed(burying.burials):  # The first rule overwrites the others.
            if sequences:
                places[self.slots.slots_of(sequences)] = place
            if conditions:
                places[self.columns.select(AnyOf(conditions))] = place
        places[self.slots.slots_of(self._found(burying.pinned))] = NOT_BURIED
        if self.slots.dead_count:
            places[~self.slots.live] = NOT_BURIED
        return places

    def _found(self, sequences: Sequence[int]) -> list[int]:
        """Returns which of some documents may be found."""
        slots = self.slots.slots_of(sequences)
        return self._sequences(slots if self._allowed is None else slots[self._allowed[slots]])

    def _similarities(self, matches: Sequence[Match]) -> list[Similarity]:
        sequences = self._sequences([match.slot for match in matches])
        parts, scores = [match.part for match in matches], [match.score for match in matches]
        return list(map(Similarity, sequences, parts, scores))

    def _sequences(self, slots: NDArray[np.int64] | Sequence[int]) -> list[int]:
        sequences: list[int] = self.slots.sequences[np.asarray(slots, np.int64)].tolist()
        return sequences
