"""Tests what is compared between two answers, and when a loss is significant."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.ranking.options import Mode
from server.shadow.comparison import Pair, compare, overlap, rank_biased_overlap
from server.shadow.recordings import Recording
from server.shadow.side import Answer, Hit

LISTS = st.lists(st.sampled_from("abcdefghijklmnop"), unique=True, max_size=10)


def answer(ids: Sequence[str], *, flagged: bool = False, score: float = 1.0) -> Answer:
    return Answer([Hit(id, score - place / 10) for place, id in enumerate(ids)], flagged)


def pair(old: Sequence[str], new: Sequence[str], *, relevant: str = "", query: str = "q") -> Pair:
    return Pair(Recording(query, relevant=frozenset(relevant)), answer(old), answer(new), bool(relevant))


@given(old=LISTS, new=LISTS)
def test_overlaps_are_symmetric_and_1_for_equal_lists_only(old: list[str], new: list[str]) -> None:
    for measure in (overlap, rank_biased_overlap):
        assert 0 <= measure(old, new) <= 1 + 1e-9
        assert measure(old, new) == pytest.approx(measure(new, old))
        assert measure(old, old) == pytest.approx(1)
    assert (overlap(old, new) == 1) == (set(old) == set(new))
    assert (rank_biased_overlap(old, new) > 1 - 1e-9) == (old == new)


def test_a_change_at_the_first_rank_weighs_more_than_one_further_down() -> None:
    assert overlap("abcd", "bacd") == overlap("abcd", "abdc") == 1
    assert rank_biased_overlap("abcd", "bacd") < rank_biased_overlap("abcd", "abdc") < 1


def test_changes_of_hits_flags_and_scores_are_counted() -> None:
    pairs = [
        pair("abc", "abc"),
        pair("abc", "bac", query="turned"),
        Pair(Recording("flagged"), answer("a", score=0.5), answer("a", flagged=True, score=0.25), False),
        Pair(Recording("found"), Answer([], True), answer("z"), False),
    ]
    found = compare(Mode.DENSE, pairs)
    assert (found.identical, found.first_changed) == (0.5, 0.5)
    assert (found.flags_gained, found.flags_lost) == (1, 1)
    assert found.overlap == pytest.approx(3 / 4)
    assert [each.query for each in found.changes][:2] == ["found", "turned"]
    assert found.score_changes is not None
    assert found.score_changes.p50 == 0
    assert found.old_scores is not None
    assert found.old_scores.p50 == 1
    assert found.measures == []


def test_answers_without_any_hit_have_no_scores() -> None:
    found = compare(Mode.LEXICAL, [Pair(Recording("q"), Answer([], True), Answer([], True), False)])
    assert (found.overlap, found.identical, found.old_scores, found.score_changes) == (1, 1, None, None)


@pytest.mark.parametrize(("worse", "equal", "significant"), [(20, 80, True), (2, 98, False)])
def test_a_loss_counts_if_it_is_significant(worse: int, equal: int, significant: bool) -> None:
    pairs = [pair("ab", "ba", relevant="a")] * worse + [pair("ab", "ab", relevant="a")] * equal
    found = compare(Mode.HYBRID, pairs)
    recall = found.measures[0]
    assert (recall.measure, recall.old) == ("R@1", 1)
    assert recall.new == pytest.approx(equal / 100)
    assert found.recall_loss == (pytest.approx(worse / 100) if significant else 0)
    gained = compare(Mode.HYBRID, [each._replace(old=each.new, new=each.old) for each in pairs])
    assert gained.recall_loss == 0


def test_one_measured_query_has_no_interval_and_no_significant_loss() -> None:
    found = compare(Mode.DENSE, [pair("a", "b", relevant="a"), pair("a", "b")])
    assert [(each.old, each.new, each.interval) for each in found.measures] == [(1, 0, None)] * 3
    assert found.recall_loss == 0
