import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaja.v1 import Hit
from server.ranking.baseline import Evidence
from server.ranking.corpus import Candidate
from server.ranking.fusion import estimate_dense_weight, fuse
from server.ranking.options import Fusion

EVEN = Evidence(reading=1.0, dense=1.0, lexical=1.0)
UNREAD = Evidence(reading=0.0, dense=9.0, lexical=1.0)

WEIGHTED = Fusion.WEIGHTED_SUM

fusions: list[Fusion] = list(Fusion)
scores = st.floats(-1, 1)
lists = st.dictionaries(st.integers(0, 20), scores, max_size=12).map(
    lambda found: [Candidate(slot, score) for slot, score in sorted(found.items(), key=lambda item: -item[1])]
)
lexical_lists = lists.map(lambda found: [Candidate(slot, score + 1.5) for slot, score in found])
slots = st.lists(st.integers(0, 25), max_size=4)
evidences = st.builds(Evidence, st.floats(0, 1), st.floats(0, 20), st.floats(0, 20))


def candidates(**found: float) -> list[Candidate]:
    return [Candidate(int(name[1:]), score) for name, score in found.items()]


tiny = st.floats(0, 1e-6) | st.floats(1 - 1e-6, 1)
close_lists = st.dictionaries(st.integers(0, 20), scores | tiny, max_size=12).map(
    lambda found: [Candidate(slot, score) for slot, score in sorted(found.items(), key=lambda item: -item[1])]
)

close_lexical_lists = close_lists.map(lambda found: [each for each in found if each.score > 0])


@given(close_lists, close_lexical_lists, st.sampled_from(fusions), evidences, slots, slots)
# In 32 bits, as in an answer, both scores are equal.
@example(
    [Candidate(2, 1.0), Candidate(9, 0.5 + 1e-9), Candidate(4, 0.5), Candidate(3, 0.0)], [], WEIGHTED, EVEN, [], []
)
# The bonus of the title absorbs the difference.
@example(candidates(s2=1.0, s9=2e-9, s4=1e-9, s3=0.0), [], WEIGHTED, EVEN, [9, 4], [])
# The best document whose title begins with the query, and one that equals it and is in neither list.
@example(candidates(s3=1.0), [], WEIGHTED, EVEN, [8], [3])
@example(candidates(s3=1.0), [], WEIGHTED, EVEN, [], [8])
def test_equal_scores_of_answers_are_in_the_order_of_slots_and_titles_come_first(  # noqa: PLR0917
    dense: list[Candidate],
    lexical: list[Candidate],
    fusion: Fusion,
    evidence: Evidence,
    exact: list[int],
    prefix: list[int],
) -> None:
    fused = fuse(dense, lexical, fusion=fusion, evidence=evidence, limit=50, exact_titles=exact, title_prefixes=prefix)
    sent = [Hit(score=each.score).score for each in fused]
    order = [(-score, each.sequence) for score, each in zip(sent, fused, strict=True)]
    assert order == sorted(order)
    tiers = [0 if each.sequence in exact else 1 if each.sequence in prefix else 2 for each in fused]
    assert tiers == sorted(tiers)


@given(lists, lexical_lists, st.sampled_from(fusions), evidences, slots, slots, st.integers(1, 30))
def test_titles_come_first_and_each_document_is_found_once(  # noqa: PLR0917
    dense: list[Candidate],
    lexical: list[Candidate],
    fusion: Fusion,
    evidence: Evidence,
    exact: list[int],
    prefix: list[int],
    limit: int,
) -> None:
    fused = fuse(
        dense, lexical, fusion=fusion, evidence=evidence, limit=limit, exact_titles=exact, title_prefixes=prefix
    )
    everything = {each.sequence for each in [*dense, *lexical]} | set(exact) | set(prefix)
    found = [each.sequence for each in fused]
    assert len(found) == len(set(found)) == min(limit, len(everything))
    tiers = [0 if slot in exact else 1 if slot in prefix else 2 for slot in found]
    order = [(tier, -each.score, each.sequence) for tier, each in zip(tiers, fused, strict=True)]
    assert order == sorted(order)
    for each, tier in zip(fused, tiers, strict=True):
        assert 2 - tier <= each.score <= 3 - tier


@pytest.mark.parametrize("fusion", fusions)
def test_one_leg_alone_keeps_its_order(fusion: Fusion) -> None:
    alone = candidates(s3=0.9, s1=0.5, s2=0.4)
    nothing: list[Candidate] = []
    for dense, lexical in ((alone, nothing), (nothing, alone)):
        fused = fuse(dense, lexical, fusion=fusion, evidence=EVEN, limit=9)
        assert [each.sequence for each in fused] == [3, 1, 2]


@pytest.mark.parametrize("fusion", fusions)
def test_a_document_that_is_good_in_both_legs_comes_first(fusion: Fusion) -> None:
    evidence = Evidence(reading=1.0, dense=1.0, lexical=6.0)
    dense, lexical = candidates(s1=0.9, s2=0.8, s3=0.1), candidates(s4=9.0, s2=8.5, s5=1.0)
    assert fuse(dense, lexical, fusion=fusion, evidence=evidence, limit=1)[0].sequence == 2


def test_a_model_that_does_not_read_the_language_only_breaks_ties() -> None:
    dense, lexical = candidates(s1=0.9, s4=0.8, s3=0.7), candidates(s2=9.0, s3=4.0, s4=4.0)
    fused = fuse(dense, lexical, fusion=Fusion.WEIGHTED_SUM, evidence=UNREAD, limit=9)
    assert [each.sequence for each in fused] == [2, 4, 3, 1]


def test_the_leg_with_more_evidence_has_more_weight() -> None:
    of_dense = [estimate_dense_weight(Evidence(1.0, dense, 5.0)) for dense in (0.0, 1.0, 3.0, 9.0)]
    of_lexical = [estimate_dense_weight(Evidence(1.0, 3.0, lexical)) for lexical in (0.0, 1.0, 5.0, 50.0)]
    assert of_dense == sorted(of_dense)
    assert of_lexical == sorted(of_lexical, reverse=True)
    assert estimate_dense_weight(Evidence(1.0, 0.0, 0.0)) == 0.5
