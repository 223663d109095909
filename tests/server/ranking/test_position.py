"""Pages of a ranking: where each begins, also after writes."""

from hypothesis import given
from hypothesis import strategies as st

from server.ranking.found import FoundDocument
from server.ranking.options import SearchOptions
from server.ranking.position import BURIED, CANDIDATE, DEEP, Position, rounded
from server.ranking.search import page_of


def ranking_of(scores: dict[int, float]) -> list[FoundDocument]:
    """Returns documents by their sequences and scores, best first."""
    found = [FoundDocument(sequence, score, tier=tier_of(sequence)) for sequence, score in scores.items()]
    return sorted(found, key=lambda each: (each.tier, -rounded(each.score), each.sequence))


def tier_of(sequence: int) -> int:
    """Returns the tier of a document: some are pinned, some buried."""
    return sequence if sequence < 4 else BURIED if sequence % 10 == 0 else DEEP if sequence % 7 == 0 else CANDIDATE


scores = st.sampled_from([0.1, 0.5, 0.5 + 1e-12, 1.0, -0.25])
rankings = st.dictionaries(st.integers(1, 60), scores).map(ranking_of)


def pages_of(ranking: list[FoundDocument], limit: int) -> list[list[FoundDocument]]:
    """Returns all pages, each from a search that finds only as many documents as it wants."""
    pages: list[list[FoundDocument]] = []
    options = SearchOptions(limit)
    while True:
        page, end = page_of(ranking[: options.wanted], options)
        pages.append(page)
        if end is None:
            return pages
        options = SearchOptions(limit, after=end)


@given(rankings, st.integers(1, 7))
def test_the_pages_of_an_unchanged_ranking_are_the_ranking(ranking: list[FoundDocument], limit: int) -> None:
    pages = pages_of(ranking, limit)
    assert [each for page in pages for each in page] == ranking
    assert all(len(page) == limit for page in pages[:-1])
    assert pages[-1] or not ranking, "the last page is not empty"


@given(rankings, rankings, st.integers(1, 7))
def test_documents_that_stay_are_neither_repeated_nor_missed(
    before: list[FoundDocument], after: list[FoundDocument], limit: int
) -> None:
    # Documents with the same sequence have the same score in both rankings: others change.
    scores = {each.sequence: each.score for each in before}
    after = ranking_of({each.sequence: scores.get(each.sequence, each.score) for each in after})
    seen, end = page_of(before[: limit + 1], SearchOptions(limit))
    while end is not None:
        options = SearchOptions(limit, after=end)
        page, end = page_of(after[: options.wanted], options)
        seen += page
    assert len(seen) == len(set(seen))
    if len(before) > limit:
        assert {each for each in after if each in before} <= set(seen)


def test_a_position_lies_after_its_document_and_before_the_next() -> None:
    ranking = [(0, 0.1, 9), (CANDIDATE, 0.5, 3), (CANDIDATE, 0.5, 4), (CANDIDATE, 0.25, 1), (BURIED, 0.75, 2)]
    assert Position(1, 100, 0.5, 3).passed(ranking) == 2
    assert Position(2, 100, 0.5, 5).passed(ranking) == 3
    assert Position(2, 100, 0.0, 0).passed(ranking) == 4
    assert Position(2, 100, 0.75, 9).passed(ranking) == 1
    assert Position(2, 100, 0.9, 9, tier=0).passed(ranking) == 1, "the pinned document has changed"
    assert Position(2, 100, 0.75, 2, tier=BURIED).passed(ranking) == 5
