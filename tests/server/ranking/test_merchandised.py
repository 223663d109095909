"""Rules of merchandising in rankings of every mode: what they move, and pages over what they have moved."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.attributes.filter import Equals, Filter, Not
from server.catalogue.document import Document
from server.encoding.bundle import Bundle
from server.encoding.kind import TextKind
from server.live.index import LiveIndex
from server.merchandising.rule import MAX_SHARE, Rule
from server.merchandising.view import MerchandisingView
from server.ranking.found import AppliedRule, Effect, Found, FoundDocument
from server.ranking.options import Asked, Mode, SearchOptions
from server.ranking.position import BURIED, CANDIDATE, DEEP
from server.ranking.search import search
from server.ranking.state import State
from tests.server.making import empty_index, encode, versioned
from tests.server.merchandising.making import boost, rule

COUNT = 150
QUERY = "lost card"
DELETED = "d7"

DOCUMENTS = [
    Document(
        id=f"d{number}",
        title=["lost card", "card", "카드", "환율", "split"][number % 5] + f" {number % 11}",
        text="card " * (number % 3) + "pay",
        attributes={"popular": number % 13, "group": "even" if number % 2 == 0 else "odd", "number": number},
    )
    for number in range(COUNT)
]
SEQUENCE_OF = {document.id: number for number, document in enumerate(DOCUMENTS, start=1)}


@pytest.fixture(scope="module")
def index(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveIndex]:
    index = empty_index(bundle, folder=tmp_path_factory.mktemp("merchandised"))
    index.follow([versioned(bundle, each, SEQUENCE_OF[each.id]) for each in DOCUMENTS], [], sequence=COUNT)
    index.follow([], [SEQUENCE_OF[DELETED]], sequence=COUNT + 1)
    index.measure()
    index.refresh()
    yield index
    index.close()


Search = Callable[..., Found]


@pytest.fixture(scope="module")
def find(bundle: Bundle, index: LiveIndex) -> Search:
    vector = encode(bundle, [(QUERY, TextKind.QUERY)])[0]

    def find(*rules: Rule, mode: Mode, limit: int = 100, **options: Any) -> Found:
        state = with_rules(index.state, *rules)
        asked = SearchOptions(limit, mode, asked=Asked(QUERY, "")) if options.get("after") is None else None
        asked = replace(asked or SearchOptions(limit, mode, asked=Asked(QUERY, "")), **options)
        return search(state, QUERY, vector, asked)

    return find


def with_rules(state: State, *rules: Rule) -> State:
    view = MerchandisingView.of(rules, lambda ids: {id: SEQUENCE_OF[id] for id in ids if id in SEQUENCE_OF})
    return state._replace(rules=state.rules._replace(merchandising=view))


def ids(found: Found) -> list[str]:
    return [DOCUMENTS[each.sequence - 1].id for each in found.documents]


def by_id(found: Found) -> dict[str, FoundDocument]:
    return dict(zip(ids(found), found.documents, strict=True))


every_mode = pytest.mark.parametrize("mode", list(Mode))


@every_mode
def test_pinned_documents_are_first_in_their_order_whether_they_are_found_or_not(find: Search, mode: Mode) -> None:
    plain = find(mode=mode)
    last = ids(plain)[-1]
    found = find(rule(pinned_ids=["d3", last, "d53"]), mode=mode)
    assert ids(found)[:3] == ["d3", last, "d53"]
    assert [each.rules for each in found.documents[:3]] == [(AppliedRule("rule", Effect.PINNED),)] * 3
    rest = [id for id in ids(plain) if id not in ("d3", last, "d53")]
    assert ids(found)[3:] == rest[: len(found.documents) - 3]
    assert not any(each.rules for each in found.documents[3:])
    if last in by_id(plain):
        assert by_id(found)[last].score == by_id(plain)[last].score


@every_mode
def test_a_pinned_document_that_was_deleted_never_existed_or_does_not_match_the_filter_is_left_out(
    find: Search, mode: Mode
) -> None:
    pins = rule(pinned_ids=["nothing", DELETED, "d3", "d4"])
    assert ids(find(pins, mode=mode))[:2] == ["d3", "d4"]
    assert DELETED not in ids(find(pins, mode=mode))
    even = find(pins, mode=mode, filter=Equals("group", "even"))
    assert (ids(even)[0], "d3" in ids(even)) == ("d4", False)


@every_mode
def test_min_score_does_not_apply_to_pinned_documents(find: Search, mode: Mode) -> None:
    found = find(rule(pinned_ids=["d3"], query=QUERY), mode=mode, min_score=1e9)
    assert (ids(found), found.no_good_answer) == (["d3"], False)
    for_every_query = find(rule(pinned_ids=["d3"]), mode=mode, min_score=1e9)
    assert (ids(for_every_query), for_every_query.no_good_answer) == (["d3"], True)


@every_mode
def test_buried_documents_are_last(find: Search, mode: Mode) -> None:
    plain = find(mode=mode, limit=COUNT)
    first = ids(plain)[0]
    found = find(rule(buried_ids=[first, DELETED, "nothing"]), mode=mode, limit=COUNT)
    assert ids(found)[-1] == first
    assert found.documents[-1].rules == (AppliedRule("rule", Effect.BURIED),)
    assert sorted(ids(found)) == sorted(ids(plain))


@every_mode
def test_documents_are_buried_by_an_attribute(find: Search, mode: Mode) -> None:
    sold_out = rule(buried_if=[{"attribute": "group", "value": "odd"}, {"attribute": "none", "value": 1}])
    found = ids(find(sold_out, mode=mode, limit=COUNT))
    odd = [int(id[1:]) % 2 == 1 for id in found]
    assert odd == sorted(odd)
    assert any(odd)


@every_mode
def test_pinning_and_burying_change_neither_the_order_nor_the_scores_of_the_others(find: Search, mode: Mode) -> None:
    plain = find(mode=mode, limit=COUNT)
    first, second, *_, last = ids(plain)
    found = find(rule(pinned_ids=[last, "d3"], buried_ids=[first, second]), mode=mode, limit=COUNT)
    others = [each for each in found.documents if each.tier == CANDIDATE]
    moved = {SEQUENCE_OF[id] for id in (first, second, last, "d3")}
    assert others == [each for each in plain.documents if each.sequence not in moved]
    assert [by_id(found)[id].score for id in (first, second)] == [by_id(plain)[id].score for id in (first, second)]


@every_mode
def test_a_pinned_document_that_disappears_between_pages_neither_hides_nor_repeats_another(
    find: Search, mode: Mode
) -> None:
    pins = ["d3", "d4", "d5", "d6", "d8"]
    first = find(rule(pinned_ids=pins), mode=mode, limit=2)
    assert ids(first) == ["d3", "d4"]
    without = find(rule(pinned_ids=pins), mode=mode, limit=3, after=first.end, filter=Not(Equals("number", 3)))
    assert ids(without) == ["d5", "d6", "d8"]


@every_mode
def test_a_boost_moves_scores_within_their_range(find: Search, mode: Mode) -> None:
    plain = find(mode=mode, limit=COUNT)
    found = find(rule(boosts=[boost("popular", 0.3)]), mode=mode, limit=COUNT)
    before, after = by_id(plain), by_id(found)
    assert ids(found) != ids(plain)
    scores = [np.float32(each.score) for each in plain.documents]
    for id, document in after.items():
        change = sum(each.score_change for each in document.rules)  # A rule that changes nothing is not named.
        assert {(each.rule_id, each.effect) for each in document.rules} <= {("rule", Effect.BOOSTED)}
        assert document.score - change == pytest.approx(before[id].score, abs=1e-6)
        assert min(scores) <= np.float32(document.score) <= max(scores)
        assert abs(change) <= 0.3 * (max(scores) - min(scores)) + 1e-6
        assert (document.dense_score, document.lexical_score) == (before[id].dense_score, before[id].lexical_score)
    ordered = [np.float32(each.score) for each in found.documents]
    assert ordered == sorted(ordered, reverse=True)


@every_mode
def test_boosts_of_several_rules_have_at_most_the_largest_share_together(find: Search, mode: Mode) -> None:
    one = find(rule("a", boosts=[boost(share=MAX_SHARE)]), mode=mode)
    several = find(*(rule(id, boosts=[boost(share=MAX_SHARE)]) for id in "abcd"), mode=mode)
    assert ids(several) == ids(one)
    assert [each.score for each in several.documents] == pytest.approx([each.score for each in one.documents])


def test_a_boost_moves_no_document_before_one_whose_title_matches_better(bundle: Bundle, index: LiveIndex) -> None:
    vector = encode(bundle, [("card", TextKind.QUERY)])[0]
    options = SearchOptions(100, Mode.HYBRID, asked=Asked("card", ""))
    found = search(with_rules(index.state, rule(boosts=[boost(share=0.5)])), "card", vector, options)
    prefixed = [DOCUMENTS[each.sequence - 1].titles()[""].startswith("card") for each in found.documents]
    assert any(each.rules for each in found.documents)
    assert prefixed == sorted(prefixed, reverse=True)


@every_mode
def test_a_boost_by_values_that_no_candidate_has_changes_nothing(find: Search, mode: Mode) -> None:
    for attribute in ("poplar", "group"):  # No document has the first; the second has no numbers.
        found, plain = find(rule(boosts=[boost(attribute, 0.3)]), mode=mode), find(mode=mode)
        assert ids(found) == ids(plain)
        assert not any(each.rules for each in found.documents)
        assert [each.score for each in found.documents] == pytest.approx([each.score for each in plain.documents])


@every_mode
def test_contradicting_rules_have_one_outcome(find: Search, mode: Mode) -> None:
    first = rule("1", pinned_ids=["d3", "d4"], boosts=[boost()])
    second = rule("2", pinned_ids=["d4", "d5", "d3"], buried_ids=["d6"])
    third = rule("3", buried_ids=["d3", "d6"], buried_if=[{"attribute": "group", "value": "even"}])
    for order in ((first, second, third), (third, second, first)):
        found = find(*order, mode=mode, limit=COUNT)
        assert ids(found)[:3] == ["d3", "d4", "d5"]
        assert [each.rules[0].rule_id for each in found.documents[:3]] == ["1", "1", "2"]
        buried = {id: document.rules for id, document in by_id(found).items() if document.tier == BURIED}
        assert buried["d6"] == (AppliedRule("2", Effect.BURIED),)
        assert buried["d8"] == (AppliedRule("3", Effect.BURIED),)


@every_mode
def test_rules_change_nothing_for_queries_that_they_are_not_for(find: Search, mode: Mode) -> None:
    others = [rule("1", query="other", pinned_ids=["d3"]), rule("2", end_time="1970-01-01T00:00:09Z", boosts=[boost()])]
    assert find(*others, mode=mode, seconds=10) == find(mode=mode, seconds=10)
    assert find(rule(pinned_ids=["d3"]), mode=mode, asked=None) == find(mode=mode, asked=None)


@every_mode
def test_facets_count_as_without_rules(find: Search, mode: Mode) -> None:
    rules = rule(pinned_ids=["d3"], buried_if=[{"attribute": "group", "value": "even"}], boosts=[boost()])
    assert find(rules, mode=mode, facets=("group",)).facets == find(mode=mode, facets=("group",)).facets


@every_mode
def test_a_catalogue_without_documents_has_none_to_pin(bundle: Bundle, tmp_path: Path, mode: Mode) -> None:
    empty = empty_index(bundle, folder=tmp_path)
    rules = rule(pinned_ids=["d3"], buried_ids=["d4"], boosts=[boost()])
    vector = encode(bundle, [(QUERY, TextKind.QUERY)])[0]
    found = search(with_rules(empty.state, rules), QUERY, vector, SearchOptions(3, mode, asked=Asked(QUERY, "")))
    empty.close()
    assert (found.documents, found.no_good_answer, found.end) == ([], True, None)


def test_a_new_version_of_a_document_stays_pinned(bundle: Bundle, tmp_path: Path) -> None:
    index = empty_index(bundle, folder=tmp_path)
    view = MerchandisingView.of([rule(pinned_ids=["a"])], lambda _: {})
    index.follow([], [], sequence=1, rules=index.state.rules._replace(merchandising=view))
    vector = encode(bundle, [("x", TextKind.QUERY)])[0]
    options = SearchOptions(3, asked=Asked("x", ""))
    for sequence in (2, 3):
        document = Document(id="a", title=f"card {sequence}")
        index.follow([versioned(bundle, document, sequence)], [sequence - 1], sequence=sequence)
        (found,) = search(index.state, "x", vector, options).documents
        assert (found.sequence, found.tier) == (sequence, 0)
    index.close()


some_ids = st.lists(st.sampled_from([*SEQUENCE_OF, "nothing"]), max_size=8, unique=True)


@st.composite
def rules(draw: st.DrawFn) -> Rule | None:
    pinned, buried = draw(some_ids), draw(some_ids)
    boosts = draw(
        st.sampled_from([[], [boost("popular", 0.4)], [boost("popular", 0.1), boost("group", 0.4, equals="odd")]])
    )
    conditions = draw(st.sampled_from([[], [{"attribute": "group", "value": "odd"}]]))
    if not (pinned or buried or boosts or conditions):
        return None
    buried = [id for id in buried if id not in pinned]
    return rule(draw(st.sampled_from("abc")), pinned_ids=pinned, buried_ids=buried, buried_if=conditions, boosts=boosts)


filters = st.sampled_from([None, Equals("group", "even"), Equals("popular", 3)])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(rules(), max_size=3, unique_by=lambda each: each and each.id), st.sampled_from(Mode), filters, st.data()
)
def test_the_pages_of_a_ranking_have_each_hit_once_and_in_its_place(
    find: Search, drawn: list[Rule | None], mode: Mode, filter: Filter | None, data: st.DataObject
) -> None:
    made = [each for each in drawn if each is not None]
    min_score = data.draw(st.sampled_from([None, 0.2, 0.6]))
    whole = find(*made, mode=mode, limit=100, filter=filter, min_score=min_score)
    whole_ids, end = ids(whole), whole.end
    while end is not None:  # The pages of another limit have the same window.
        page = find(*made, mode=mode, limit=100, filter=filter, min_score=min_score, after=end)
        whole_ids, end = whole_ids + ids(page), page.end
    assert len(whole_ids) == len(set(whole_ids))
    limit = data.draw(st.integers(1, 40))
    seen, tiers, end = [], [], None
    while True:
        page = find(*made, mode=mode, limit=limit, filter=filter, min_score=min_score, after=end)
        seen += ids(page)
        tiers += [each.tier for each in page.documents]
        if (end := page.end) is None:
            break
    assert seen == whole_ids
    assert tiers == sorted(tiers)
    assert set(tiers) <= {*range(30), CANDIDATE, DEEP, BURIED}
