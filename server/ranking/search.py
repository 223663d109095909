"""Searches one state of the live index: by vectors, by words, or by both."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.attributes.facets import FacetCounts, facet_of
from server.ranking.fusion import Candidate, fuse
from server.ranking.options import Mode, SearchOptions
from server.ranking.position import Position, rounded
from server.ranking.state import State
from server.vectors.view import Match

Allowed = NDArray[np.bool_] | None
"""For each slot, whether its document may be found; None allows all."""


class FoundDocument(NamedTuple):
    """A document that was found.

    Attributes:
        sequence: Sequence of its version.
        score: The score that orders the result.
        vector: Ordinal of its vector that is nearest to the query; None if vectors were not compared.
        dense_score: Similarity of that vector, weighted by its field; None if vectors were not compared.
        lexical_score: Its BM25 score; None if it is not among the best by words.
    """

    sequence: int
    score: float
    vector: int | None = None
    dense_score: float | None = None
    lexical_score: float | None = None


class Found(NamedTuple):
    """The documents, best first; the sequence of the last change seen; whether probably none is a good answer.

    `warnings` are those of the filter and the facets; see `warnings_of`. `facets` count the documents that match the
    filter. `end` is the end of the page, None if no page follows.
    """

    documents: list[FoundDocument]
    sequence: int
    no_good_answer: bool
    warnings: Sequence[str] = ()
    facets: Sequence[FacetCounts] = ()
    end: Position | None = None


def search(
    state: State, text: str, vector: NDArray[np.float32] | None, options: SearchOptions, *, words: str | None = None
) -> Found:
    """Returns the best documents for a query.

    Args:
        state: The state that is searched.
        text: The query, which is compared with titles.
        vector: The vector of the text; LEXICAL mode needs none.
        options: How to search.
        words: The text whose words are searched, such as the query with its synonyms; None stands for `text`.
    """
    words = text if words is None else words
    allowed = state.allowed(options.filter)
    if options.mode is Mode.LEXICAL:
        documents = _lexical(state, words, options, allowed)
    elif vector is None:
        raise AssertionError("the query must be encoded")
    elif options.mode is Mode.DENSE:
        documents = _dense(state, vector, options, allowed)
    else:
        documents = _hybrid(state, text, vector, options, allowed, words=words)
    found = documents.found
    if options.min_score is not None:
        # Answers contain scores as f32: a `min_score` copied from an answer must keep the hit that had it.
        least = np.float32(options.min_score)
        found = [document for document in found if np.float32(_bounded_score(document, options.mode)) >= least]
    no_good_answer = not found or (
        not documents.titled
        and state.baseline.no_good_answer(
            text,
            vector,
            dense_best=None if options.mode is Mode.LEXICAL else _best(documents.dense),
            lexical_best=None if options.mode is Mode.DENSE else _best(documents.lexical) or 0.0,
        )
    )
    page, end = page_of(found, options)
    if options.filter is None and not options.facets:
        return Found(page, state.sequence, no_good_answer, end=end)
    warnings = state.warnings(options.filter, options.facets)
    facets = [facet_of(each, state.columns, allowed) for each in options.facets]
    return Found(page, state.sequence, no_good_answer, warnings, facets, end)


def page_of(ranking: list[FoundDocument], options: SearchOptions) -> tuple[list[FoundDocument], Position | None]:
    """Returns the documents of the page, and its end, None if no page follows."""
    after = options.after
    first = after.passed([(each.score, each.sequence) for each in ranking]) if after else 0
    page = ranking[first : first + options.limit]
    # A ranking of this length was cut. After writes it may end within the page, which is then short, or even empty.
    if len(ranking) < options.wanted and len(ranking) <= first + options.limit:
        return page, None
    if not page:
        return page, after._replace(rank=len(ranking)) if after else None
    return page, Position(first + len(page), options.window, rounded(page[-1].score), page[-1].sequence)


class _Legs(NamedTuple):
    """The documents found, the scores of each leg, best first, and whether a title matches the query."""

    found: list[FoundDocument]
    dense: Sequence[float] = ()
    lexical: Sequence[float] = ()
    titled: bool = False


def _bounded_score(document: FoundDocument, mode: Mode) -> float:
    """Returns the score that `min_score` bounds: in HYBRID mode the similarity, since the best fused score is 1."""
    if mode is not Mode.HYBRID:
        return document.score
    assert document.dense_score is not None, "HYBRID mode computes the similarity"
    return document.dense_score


def _best(scores: Sequence[float]) -> float | None:
    return scores[0] if scores else None


def _dense(state: State, vector: NDArray[np.float32], options: SearchOptions, allowed: Allowed) -> _Legs:
    matches = _nearest(state, vector, options, allowed, limit=options.wanted)
    # Answers have scores in 32 bits: those that are equal there must be in the order of slots.
    matches.sort(key=lambda match: (-np.float32(match.score), match.slot))
    found = [
        FoundDocument(int(state.slots.sequences[match.slot]), match.score, match.part, match.score) for match in matches
    ]
    return _Legs(found, dense=[match.score for match in matches])


def _lexical(state: State, words: str, options: SearchOptions, allowed: Allowed) -> _Legs:
    hits = state.lexical.search(words, limit=options.wanted, allowed=allowed)
    scores = hits.scores.tolist()
    found = [
        FoundDocument(int(state.slots.sequences[slot]), score, lexical_score=score)
        for slot, score in zip(hits.slots.tolist(), scores, strict=True)
    ]
    return _Legs(found, lexical=scores)


def _hybrid(
    state: State, text: str, vector: NDArray[np.float32], options: SearchOptions, allowed: Allowed, *, words: str
) -> _Legs:
    candidates = options.window
    matches = _nearest(state, vector, options, allowed, limit=candidates)
    hits = state.lexical.search(words, limit=candidates, allowed=allowed)
    dense = [Candidate(match.slot, match.score) for match in matches]
    lexical = [Candidate(*each) for each in zip(hits.slots.tolist(), hits.scores.tolist(), strict=True)]
    # Always check the titles of the candidates. Otherwise the first hits would depend on the limit.
    among = list({each.slot for each in (*dense, *lexical)})
    titles = state.titles.find(text, limit=candidates, among=among, allowed=allowed)
    fused = fuse(
        dense,
        lexical,
        fusion=options.fusion,
        evidence=state.baseline.evidence(
            text, dense_best=dense[0].score if dense else None, lexical_best=lexical[0].score if lexical else None
        ),
        # `min_score` bounds the similarity, which does not order the fused list: keep all candidates until it applies.
        limit=options.wanted if options.min_score is None else max(candidates, options.wanted),
        exact_titles=titles.exact,
        title_prefixes=titles.prefix,
    )
    vectors, lexical_scores = {match.slot: match for match in matches}, dict(lexical)
    vectors |= state.dense.best_of(
        vector, [each.slot for each in fused if each.slot not in vectors], weights=state.weights
    )
    found = [
        FoundDocument(
            int(state.slots.sequences[each.slot]),
            each.score,
            vectors[each.slot].part,
            vectors[each.slot].score,
            lexical_scores.get(each.slot),
        )
        for each in fused
    ]
    titled = bool(titles.exact or titles.prefix)
    return _Legs(found, [each.score for each in dense], [each.score for each in lexical], titled)


def _nearest(
    state: State, vector: NDArray[np.float32], options: SearchOptions, allowed: Allowed, *, limit: int
) -> list[Match]:
    """Returns the nearest documents."""
    exact = options.filter is not None  # With a filter, no match may be missed.
    return state.dense.search(vector, limit=limit, allowed=allowed, weights=state.weights, exact=exact)
