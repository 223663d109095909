"""Searches one state of the live index: by vectors, by words, or by both."""

import numpy as np
from numpy.typing import NDArray

from server.attributes.warnings import asked_attributes, warnings_of
from server.ranking.corpus import Searched
from server.ranking.found import Found, FoundDocument
from server.ranking.legs import Ranker
from server.ranking.merchandised import fitting_rules, merchandised
from server.ranking.options import SearchOptions
from server.ranking.position import Position, rounded


def search(
    state: Searched, text: str, vector: NDArray[np.float32] | None, options: SearchOptions, *, words: str | None = None
) -> Found:
    """Returns the best documents for a query.

    Args:
        state: The state that is searched.
        text: The query, which is compared with titles.
        vector: The vector of the text; LEXICAL mode needs none.
        options: How to search.
        words: The text whose words are searched, such as the query with its synonyms; None stands for `text`.
    """
    corpus = state.corpus(options.filter)
    ranker = Ranker(state, corpus, text, text if words is None else words, vector, options)
    if rules := fitting_rules(state, options):
        ranking, no_good_answer = merchandised(ranker, rules)
    else:
        legs = ranker.legs(depth=ranker.depth)
        ranking = ranker.completed(ranker.reaching(legs.found, most=options.wanted))
        no_good_answer = not ranking or ranker.no_good_answer(legs)
    page, end = page_of(ranking, options)
    if options.filter is None and not options.facets:
        return Found(page, state.sequence, no_good_answer, end=end)
    asked = asked_attributes(options.filter, options.facets)
    attributes, facets = corpus.summary(asked, facets=options.facets)
    warnings = warnings_of(options.filter, options.facets, attributes)
    return Found(page, state.sequence, no_good_answer, warnings, facets, end)


def page_of(ranking: list[FoundDocument], options: SearchOptions) -> tuple[list[FoundDocument], Position | None]:
    """Returns the documents of the page, and its end, None if no page follows."""
    after = options.after
    first = after.passed([(each.tier, each.score, each.sequence) for each in ranking]) if after else 0
    page = ranking[first : first + options.limit]
    # A ranking of this length was cut. After writes it may end within the page, which is then short, or even empty.
    if len(ranking) < options.wanted and len(ranking) <= first + options.limit:
        return page, None
    if not page:
        return page, after._replace(rank=len(ranking)) if after else None
    last = page[-1]
    end = Position(
        first + len(page), options.window, rounded(last.score), last.sequence, tier=last.tier, seconds=options.seconds
    )
    return page, end
