"""Tests of the policy: which queries are confirmed for which document."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalogue.feedback import Evidence
from server.feedback.policy import Confirmed, Policy, chosen, judge, without_case_and_end_marks

POLICY = Policy()


def act(user: str, document_id: str = "a", query: str = "환율", *, kind: str = "clicked", rank: float = 0) -> Evidence:
    kinds = {each: each == kind for each in ("clicked", "converted", "rejected")}
    return Evidence(query, document_id, user.encode(), **kinds, rank=rank)


def confirmed(*evidence: Evidence, policy: Policy = POLICY, **shown: int) -> list[tuple[str, str]]:
    judged = judge(evidence, {("환율", id): users for id, users in shown.items()}, policy)
    return [(each.query, each.document_id) for each in judged.confirmed]


def test_two_users_confirm_a_document_and_one_does_not() -> None:
    assert confirmed(act("1")) == []
    assert confirmed(act("1"), act("2")) == [("환율", "a")]
    assert confirmed(act("1"), policy=Policy(min_users=1)) == [("환율", "a")]


def test_one_user_who_types_a_query_in_several_ways_is_one_user() -> None:
    assert confirmed(act("1", query="환율"), act("1", query="환율?"), act("1", query="  환율 ")) == []


def test_the_form_that_most_users_typed_is_learnt() -> None:
    evidence = [act("1", query="ATM 위치"), act("2", query="atm 위치?"), act("3", query="atm 위치?")]
    assert confirmed(*evidence) == [("atm 위치?", "a")]


def test_a_query_that_means_several_things_is_not_learnt() -> None:
    assert confirmed(act("1"), act("2"), act("3", "b"), act("4", "b")) == []
    assert confirmed(act("1"), act("2"), act("3", "b")) == [("환율", "a")]


def test_a_user_who_clicks_several_documents_shares_the_vote() -> None:
    both = [act(user, id) for user in "12" for id in "ab"]
    assert confirmed(*both) == []
    assert confirmed(*both, act("3")) == [("환율", "a")]


def test_a_conversion_counts_instead_of_clicks_on_other_documents() -> None:
    acts = [each for user in "12" for each in (act(user, "b"), act(user, kind="converted"))]
    assert confirmed(*acts) == [("환율", "a")]


def test_a_rejection_counts_instead_of_the_users_own_click() -> None:
    assert confirmed(act("1"), act("2"), act("2", kind="rejected")) == []


def test_as_many_rejections_as_votes_confirm_nothing() -> None:
    votes, rejections = [act(user) for user in "123"], [act(user, kind="rejected") for user in "456"]
    assert confirmed(*votes, *rejections[:2]) == [("환율", "a")]
    assert confirmed(*votes, *rejections) == []


def test_a_document_that_few_choose_of_those_who_see_it_is_not_learnt() -> None:
    assert confirmed(act("1"), act("2"), a=20) == [("환율", "a")]
    assert confirmed(act("1"), act("2"), a=21) == []


def test_a_long_query_is_not_learnt() -> None:
    assert confirmed(act("1", query="가" * 201), act("2", query="가" * 201)) == []


def test_a_flood_from_two_users_counts_for_a_bounded_number_of_queries() -> None:
    flood = [act(user, query=f"질문 {number}") for number in range(500) for user in "12"]
    real = [act(user, query="질문 499") for user in "34"]
    found = confirmed(*flood, *real)
    assert len(found) == POLICY.max_user_queries
    assert ("질문 499", "a") in found, "what others have confirmed as well comes first"


def test_evidence_against_a_learnt_example_is_found() -> None:
    def doubted(*evidence: Evidence) -> set[tuple[str, str]]:
        return judge(evidence, {}, POLICY).doubted

    assert doubted(act("1"), act("2")) == doubted() == set()
    assert doubted(act("1", "b"), act("2", "b"), act("3", "b"), act("4")) == {("환율", "a")}
    assert doubted(act("1", kind="rejected"), act("2", kind="rejected")) == {("환율", "a")}
    assert doubted(act("1", kind="rejected")) == set(), "one user is not enough"


def test_the_best_queries_of_a_document_are_chosen() -> None:
    voters = (("가", "12", 1), ("나", "12", 5), ("다", "123", 1))
    acts = [act(user, query=query, rank=rank) for query, users, rank in voters for user in users]
    policy = Policy(max_examples=2)
    assert [each.query for each in chosen(judge(acts, {}, policy).confirmed, policy)] == ["다", "나"]
    several = [Confirmed("가", id, 2, 1, 0) for id in "abc"]
    assert chosen(several, policy) == several


@pytest.mark.parametrize("other", ["환율", " 환율 ", "환율?", "환율…", unicodedata.normalize("NFD", "환율")])
def test_forms_of_a_query_have_the_same_key(other: str) -> None:
    assert without_case_and_end_marks(other) == without_case_and_end_marks("환율")


def test_other_queries_have_other_keys() -> None:
    assert len({without_case_and_end_marks(each) for each in ("환율", "환 율", "환율 조회", "?", "!", "🏧")}) == 6


@given(st.text())
def test_a_key_is_its_own_key(query: str) -> None:
    assert without_case_and_end_marks(without_case_and_end_marks(query)) == without_case_and_end_marks(query)


EVIDENCE = st.lists(
    st.builds(
        Evidence,
        st.sampled_from(["가", "가?", "나", "🏧", "x" * 300]),
        st.sampled_from("ab"),
        st.sampled_from([b"1", b"2", b"3"]),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.sampled_from([0.0, 1.0, 2.5]),
    ),
    unique_by=lambda each: each[:3],
)


@given(EVIDENCE)
def test_the_order_of_evidence_does_not_matter_and_no_query_is_confirmed_twice(evidence: list[Evidence]) -> None:
    judged, again = judge(evidence, {}, POLICY), judge(evidence[::-1], {}, POLICY)
    assert [each[:3] for each in again.confirmed] == [each[:3] for each in judged.confirmed]
    assert again.doubted == judged.doubted
    keys = [without_case_and_end_marks(each.query) for each in judged.confirmed]
    assert len(keys) == len(set(keys))
    assert not judged.doubted.intersection(
        (without_case_and_end_marks(each.query), each.document_id) for each in judged.confirmed
    )
    for each in judged.confirmed:
        users = {
            act.user
            for act in evidence
            if without_case_and_end_marks(act.query) == without_case_and_end_marks(each.query) and not act.rejected
        }
        assert len(users) >= POLICY.min_users
