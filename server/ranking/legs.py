"""Ranks documents by one mode: by vectors, by words, or by both. Rules rearrange what this returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.lexical.statistics import QueryTerms
from server.ranking.corpus import Burying, Candidate, Corpus, LegsQuery, Part, Searched, Similarity
from server.ranking.found import FoundDocument
from server.ranking.fusion import fuse
from server.ranking.options import Mode, SearchOptions

FUSED_LISTS = 4
"""Lists that HYBRID mode fuses, each as long as the window: those of both legs, and two of titles."""


class Legs(NamedTuple):
    """The documents found, the scores of each leg, best first, and whether a title matches the query."""

    found: list[FoundDocument]
    dense: Sequence[float] = ()
    lexical: Sequence[float] = ()
    titled: bool = False


@dataclass(slots=True, eq=False)
class Ranker:
    """Ranks the documents of a state for one query; see `search` for what the attributes are.

    `corpus` has the documents that match the filter of the options.
    """

    state: Searched
    corpus: Corpus
    text: str
    words: str
    vector: NDArray[np.float32] | None
    options: SearchOptions
    _terms: QueryTerms | None = None

    @property
    def depth(self) -> int:
        """Number of documents to rank, before `min_score` applies."""
        # In HYBRID mode it bounds the similarity, which does not order the fused list.
        by_similarity = self.options.mode is Mode.HYBRID and self.options.min_score is not None
        return self.depth_of_candidates if by_similarity else self.options.wanted

    @property
    def depth_of_candidates(self) -> int:
        """Number of documents to rank if all candidates are needed."""
        lists = FUSED_LISTS if self.options.mode is Mode.HYBRID else 1
        return max(self.options.wanted, lists * self.options.window)

    def legs(self, *, depth: int, part: Part = Part.ALL, burying: Burying | None = None) -> Legs:
        """Returns the `depth` best documents of a part of the corpus; in HYBRID mode, none but candidates of all."""
        query = LegsQuery(depth, part=part, burying=burying)
        if self.options.mode is Mode.LEXICAL:
            return self._lexical(query._replace(terms=self.terms))
        query = query._replace(vector=self.vector)
        assert self.vector is not None, "the query must be encoded"
        return self._dense(query) if self.options.mode is Mode.DENSE else self._hybrid(depth)

    def scored(self, sequences: Sequence[int]) -> list[FoundDocument]:
        """Returns documents that are no candidates, in this order. HYBRID mode gives them a score of 0."""
        if self.options.mode is Mode.LEXICAL:
            scores = self.corpus.lexical_scores(self.terms, sequences)
            return [FoundDocument(each, scores.get(each, 0.0), lexical_score=scores.get(each)) for each in sequences]
        found = self.completed([FoundDocument(each, 0.0) for each in sequences])
        if self.options.mode is Mode.DENSE:
            return [each._replace(score=_similarity(each)) for each in found]
        return found

    def completed(self, found: list[FoundDocument]) -> list[FoundDocument]:
        """Returns documents with their similarities, which HYBRID mode lacks for those that only the words found."""
        missing = [each.sequence for each in found if each.vector is None]
        if not missing or self.vector is None or self.options.mode is Mode.LEXICAL:
            return found
        best = self.corpus.similarities(self.vector, missing)
        return [
            each
            if each.vector is not None
            else each._replace(vector=best[each.sequence].part, dense_score=best[each.sequence].score)
            for each in found
        ]

    @property
    def terms(self) -> QueryTerms:
        """The terms of the words."""
        if self._terms is None:
            self._terms = self.corpus.statistics.query_terms(self.words)
        return self._terms

    def reaching(self, found: list[FoundDocument], *, most: int) -> list[FoundDocument]:
        """Returns the first documents that reach `min_score`; at least `most` if there are as many."""
        if self.options.min_score is None:
            return found
        # Answers contain scores as f32: a `min_score` copied from an answer must keep the hit that had it.
        least = np.float32(self.options.min_score)
        if self.options.mode is not Mode.HYBRID:
            return [each for each in found if np.float32(each.score) >= least]
        # The best fused score of every query is 1: the similarity is bounded instead.
        reaching: list[FoundDocument] = []
        at_once = self.corpus.compared_at_once
        for first in range(0, len(found), at_once):
            portion = self.completed(found[first : first + at_once])
            reaching += [each for each in portion if np.float32(_similarity(each)) >= least]
            if len(reaching) >= most:
                break
        return reaching[:most]  # Otherwise the rank of a page would depend on how many are compared at a time.

    def no_good_answer(self, legs: Legs) -> bool:
        """Returns whether probably none of the documents in these legs answers the query."""
        mode = self.options.mode
        return not legs.titled and self.state.baseline.no_good_answer(
            self.text,
            self.vector,
            dense_best=None if mode is Mode.LEXICAL else _best(legs.dense),
            lexical_best=None if mode is Mode.DENSE else _best(legs.lexical) or 0.0,
        )

    def _dense(self, query: LegsQuery) -> Legs:
        near = self.corpus.find(query).dense
        # Answers have scores in 32 bits: those that are equal there must be in the order of sequences.
        narrow = np.array([each.score for each in near]).astype(np.float32)
        order = np.lexsort((np.array([each.sequence for each in near]), -narrow)).tolist()
        found = [FoundDocument(near[at].sequence, near[at].score, near[at].part, near[at].score) for at in order]
        return Legs(found, dense=[each.score for each in found])

    def _lexical(self, query: LegsQuery) -> Legs:
        hits = self.corpus.find(query).lexical
        found = [FoundDocument(sequence, score, lexical_score=score) for sequence, score in hits]
        return Legs(found, lexical=[score for _, score in hits])

    def _hybrid(self, depth: int) -> Legs:
        # A misspelled word is replaced, such as 예굼 by 예금.
        respelled = self.words if self.words != self.text else ""
        near, lexical, titles, is_respelled = self.corpus.find(
            LegsQuery(self.options.window, self.vector, self.terms, self.text, respelled)
        )
        dense = [Candidate(each.sequence, each.score) for each in near]
        fused = fuse(
            dense,
            lexical,
            fusion=self.options.fusion,
            evidence=self.state.baseline.evidence(
                self.text,
                dense_best=dense[0].score if dense else None,
                lexical_best=lexical[0].score if lexical else None,
            ),
            limit=depth,
            exact_titles=titles.exact,
            title_prefixes=titles.prefix,
        )
        similarities, lexical_scores = {each.sequence: each for each in near}, dict(lexical)
        found = [
            _fused(sequence, score, similarities.get(sequence), lexical_scores.get(sequence))
            for sequence, score in fused
        ]
        titled = bool(titles.exact or titles.prefix) or is_respelled
        return Legs(found, [each.score for each in dense], [each.score for each in lexical], titled)


def _fused(sequence: int, score: float, match: Similarity | None, lexical_score: float | None) -> FoundDocument:
    if match is None:
        return FoundDocument(sequence, score, lexical_score=lexical_score)
    return FoundDocument(sequence, score, match.part, match.score, lexical_score)


def _similarity(found: FoundDocument) -> float:
    assert found.dense_score is not None, "it is completed"
    return found.dense_score


def _best(scores: Sequence[float]) -> float | None:
    return scores[0] if scores else None
