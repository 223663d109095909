"""Ranks documents by one mode: by vectors, by words, or by both. Rules rearrange what this returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.ranking.found import FoundDocument
from server.ranking.fusion import Candidate, fuse
from server.ranking.options import Mode, SearchOptions
from server.ranking.state import State
from server.vectors.view import Match

Allowed = NDArray[np.bool_] | None
"""For each slot, whether its document may be found; None allows all."""

FUSED_LISTS = 4
"""Lists that HYBRID mode fuses, each as long as the window: those of both legs, and two of titles."""

COMPLETED_AT_ONCE = 32
"""Documents whose similarities are computed at a time, until enough of them reach `min_score`."""


class Legs(NamedTuple):
    """The documents found, the scores of each leg, best first, and whether a title matches the query."""

    found: list[FoundDocument]
    dense: Sequence[float] = ()
    lexical: Sequence[float] = ()
    titled: bool = False


@dataclass(slots=True, eq=False)
class Ranker:
    """Ranks the documents of one state for one query; see `search` for what the attributes are."""

    state: State
    text: str
    words: str
    vector: NDArray[np.float32] | None
    options: SearchOptions

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

    def legs(self, allowed: Allowed, *, depth: int) -> Legs:
        """Returns the `depth` best documents; in HYBRID mode, none but candidates."""
        if self.options.mode is Mode.LEXICAL:
            return self._lexical(allowed, depth)
        return self._dense(allowed, depth) if self.options.mode is Mode.DENSE else self._hybrid(allowed, depth)

    def scored(self, slots: Sequence[int]) -> list[FoundDocument]:
        """Returns documents that are no candidates, in the order of `slots`. HYBRID mode gives them a score of 0."""
        if self.options.mode is Mode.LEXICAL:
            allowed = np.zeros(len(self.state.slots.sequences), np.bool_)
            allowed[list(slots)] = True
            hits = self.state.lexical.search(self.words, limit=len(slots), allowed=allowed)
            scores = dict(zip(hits.slots.tolist(), hits.scores.tolist(), strict=True))
            return [
                FoundDocument(self._sequence(slot), scores.get(slot, 0.0), lexical_score=scores.get(slot))
                for slot in slots
            ]
        found = self.completed([FoundDocument(self._sequence(slot), 0.0) for slot in slots])
        if self.options.mode is Mode.DENSE:
            return [each._replace(score=_similarity(each)) for each in found]
        return found

    def completed(self, found: list[FoundDocument]) -> list[FoundDocument]:
        """Returns documents with their similarities, which HYBRID mode lacks for those that only the words found."""
        missing = [each.sequence for each in found if each.vector is None]
        if not missing or self.vector is None or self.options.mode is Mode.LEXICAL:
            return found
        slots = self.state.slots.slots_of(missing).tolist()
        best = self.state.dense.best_of(self.vector, slots, weights=self.state.weights)
        matches = {self._sequence(slot): match for slot, match in best.items()}
        return [
            each
            if each.vector is not None
            else each._replace(vector=matches[each.sequence].part, dense_score=matches[each.sequence].score)
            for each in found
        ]

    def reaching(self, found: list[FoundDocument], *, most: int) -> list[FoundDocument]:
        """Returns the documents that reach `min_score`; at least `most` if there are as many."""
        if self.options.min_score is None:
            return found
        # Answers contain scores as f32: a `min_score` copied from an answer must keep the hit that had it.
        least = np.float32(self.options.min_score)
        if self.options.mode is not Mode.HYBRID:
            return [each for each in found if np.float32(each.score) >= least]
        # The best fused score of every query is 1: the similarity is bounded instead.
        reaching: list[FoundDocument] = []
        for first in range(0, len(found), COMPLETED_AT_ONCE):
            portion = self.completed(found[first : first + COMPLETED_AT_ONCE])
            reaching += [each for each in portion if np.float32(_similarity(each)) >= least]
            if len(reaching) >= most:
                break
        return reaching

    def no_good_answer(self, legs: Legs) -> bool:
        """Returns whether probably none of the documents in these legs answers the query."""
        mode = self.options.mode
        return not legs.titled and self.state.baseline.no_good_answer(
            self.text,
            self.vector,
            dense_best=None if mode is Mode.LEXICAL else _best(legs.dense),
            lexical_best=None if mode is Mode.DENSE else _best(legs.lexical) or 0.0,
        )

    def _dense(self, allowed: Allowed, depth: int) -> Legs:
        matches = self._nearest(allowed, depth)
        # Answers have scores in 32 bits: those that are equal there must be in the order of slots.
        matches.sort(key=lambda match: (-np.float32(match.score), match.slot))
        found = [FoundDocument(self._sequence(each.slot), each.score, each.part, each.score) for each in matches]
        return Legs(found, dense=[match.score for match in matches])

    def _lexical(self, allowed: Allowed, depth: int) -> Legs:
        hits = self.state.lexical.search(self.words, limit=depth, allowed=allowed)
        scores = hits.scores.tolist()
        found = [
            FoundDocument(self._sequence(slot), score, lexical_score=score)
            for slot, score in zip(hits.slots.tolist(), scores, strict=True)
        ]
        return Legs(found, lexical=scores)

    def _hybrid(self, allowed: Allowed, depth: int) -> Legs:
        window = self.options.window
        matches = self._nearest(allowed, window)
        hits = self.state.lexical.search(self.words, limit=window, allowed=allowed)
        dense = [Candidate(match.slot, match.score) for match in matches]
        lexical = [Candidate(*each) for each in zip(hits.slots.tolist(), hits.scores.tolist(), strict=True)]
        # Always check the titles of the candidates. Otherwise the first hits would depend on the limit.
        among = list({each.slot for each in (*dense, *lexical)})
        titles = self.state.titles.find(self.text, limit=window, among=among, allowed=allowed)
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
        vectors, lexical_scores = {match.slot: match for match in matches}, dict(lexical)
        found = [
            _fused(self._sequence(each.slot), each.score, vectors.get(each.slot), lexical_scores.get(each.slot))
            for each in fused
        ]
        titled = bool(titles.exact or titles.prefix)
        if not titled and self.words != self.text:  # A misspelled word is replaced, such as 예굼 by 예금.
            titled = any(self.state.titles.find(self.words, limit=1, allowed=allowed))
        return Legs(found, [each.score for each in dense], [each.score for each in lexical], titled)

    def _sequence(self, slot: int) -> int:
        return int(self.state.slots.sequences[slot])

    def _nearest(self, allowed: Allowed, limit: int) -> list[Match]:
        """Returns the nearest documents."""
        assert self.vector is not None, "the query must be encoded"
        exact = self.options.filter is not None  # With a filter, no match may be missed.
        return self.state.dense.search(
            self.vector, limit=limit, allowed=allowed, weights=self.state.weights, exact=exact
        )


def _fused(sequence: int, score: float, match: Match | None, lexical_score: float | None) -> FoundDocument:
    if match is None:
        return FoundDocument(sequence, score, lexical_score=lexical_score)
    return FoundDocument(sequence, score, match.part, match.score, lexical_score)


def _similarity(found: FoundDocument) -> float:
    assert found.dense_score is not None, "it is completed"
    return found.dense_score


def _best(scores: Sequence[float]) -> float | None:
    return scores[0] if scores else None
