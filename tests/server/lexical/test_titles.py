from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from server.lexical.titles import TitleHits, Titles, chosen_titles, fold_title
from tests.server.snapshots import saved_and_read

some_titles = st.lists(st.text(alphabet="카드 aA\u200f·", max_size=5), max_size=3)


def titles_of(*documents: list[str]) -> Titles:
    titles = Titles()
    titles.append(documents)
    return titles


def test_exact_titles_are_separate_from_those_that_begin_with_the_query() -> None:
    view = titles_of(["Lost card"], ["Lost card abroad", "LOST  CARD"], ["lost cards"], ["a lost card"]).view()
    assert view.find("ｌｏｓｔ card", limit=9) == TitleHits([0, 1], [2])


@settings(deadline=None)
@given(st.lists(some_titles, max_size=30), st.text(alphabet="카드 aA", max_size=3), st.randoms(), st.integers(1, 9))
def test_hits_agree_with_a_comparison_of_all_titles(
    documents: list[list[str]], query: str, random: Random, batch: int
) -> None:
    titles = Titles()
    for start in range(0, len(documents), batch):
        titles.append(documents[start : start + batch])
    allowed = np.array([random.random() < 0.8 for _ in documents], dtype=np.bool_)
    typed = fold_title(query)
    folded = [{fold_title(title) for title in each} for each in documents]
    exact = [slot for slot, each in enumerate(folded) if typed and typed in each and allowed[slot]]
    prefix = [
        slot
        for slot, each in enumerate(folded)
        if len(typed) > 1 and any(one.startswith(typed) for one in each) and allowed[slot] and slot not in exact
    ]
    assert titles.view().find(query, limit=99, allowed=allowed) == TitleHits(exact, prefix)


def test_the_limit_keeps_the_first_titles() -> None:
    view = titles_of(["card z"], ["card a", "card b", "card c", "card d"], ["card e"], ["card f"]).view()
    assert view.find("card", limit=2).prefix == [1, 2]


def test_long_titles_are_distinguished() -> None:
    view = titles_of(["카" * 100 + "a"], ["카" * 100 + "b"]).view()
    assert view.find("카" * 100 + "a", limit=9).exact == [0]
    assert view.find("카" * 99, limit=9).prefix == [0, 1]


def test_runs_are_merged_and_views_never_change() -> None:
    titles = Titles()
    views = [titles.view()]
    for number in range(200):
        titles.append([[f"title {number:03}"]])
        views.append(titles.view())
    for count, view in enumerate(views):
        assert view.find("title", limit=999).prefix == list(range(count))
    assert views[-1].find("title 123", limit=5) == TitleHits([123], [])


def test_a_snapshot_restores_the_titles() -> None:
    loaded = Titles.restored(saved_and_read(titles_of(["카드"], [], ["카드 분실", "Lost card"]).view().arrays))
    assert len(loaded) == 3
    assert loaded.view().find("카드", limit=5) == TitleHits([0], [2])
    loaded.append([["카드"]])
    assert loaded.view().find("카드", limit=5).exact == [0, 3]
    assert len(Titles.restored(saved_and_read(Titles().view().arrays))) == 0


def test_documents_that_the_caller_names_are_found_beyond_the_limit() -> None:
    titles = [[f"card {number:03}"] for number in range(50)]
    view = titles_of(*titles, ["card"], ["card"], ["other"]).view()
    assert view.find("card", limit=2, among=[52, 49, 3, 1]) == TitleHits([50, 51], [0, 1, 3, 49])
    assert view.find("card", limit=1, among=[51]) == TitleHits([50, 51], [0])
    allowed = np.arange(53) % 2 == 0
    assert view.find("card", limit=1, among=[48, 49, 51, 52], allowed=allowed) == TitleHits([50], [0, 48])
    assert view.find("", limit=1, among=[50]) == view.find("x", limit=1, among=[50]) == TitleHits([], [])


def test_a_document_that_the_caller_names_is_either_an_exact_or_a_prefix_hit() -> None:
    view = titles_of(["card"], ["card", "card lost"], ["card found"]).view()
    assert view.find("card", limit=1, among=[1, 2]) == TitleHits([0, 1], [2])


def test_invisible_marks_do_not_count() -> None:
    titles = Titles()
    titles.append([["\u200e연금\u200b저축"], ["연금"]])
    assert titles.view().find("연금저축", limit=5).exact == [0]
    assert titles.view().find("\ufeff연금", limit=5) == ([1], [0])


@settings(deadline=None)
@given(st.lists(some_titles, max_size=20), st.text(alphabet="카드 aA", max_size=3), st.randoms(), st.integers(1, 4))
def test_matches_of_parts_merge_to_those_of_all(
    documents: list[list[str]], query: str, random: Random, limit: int
) -> None:
    parts = [random.randrange(3) for _ in documents]
    among = [slot for slot in range(len(documents)) if random.random() < 0.2]
    matches = []
    for part in range(3):
        slots = np.array([slot for slot, own in enumerate(parts) if own == part], np.int64)
        view = titles_of(*(documents[slot] for slot in slots.tolist())).view()
        own_among = [place for place, slot in enumerate(slots.tolist()) if slot in among]
        found = view.matching(query, limit=limit, among=own_among)
        matches.append(
            found._replace(exact=slots[found.exact], prefixes=slots[found.prefixes], others=slots[found.others])
        )
    expected = titles_of(*documents).view().find(query, limit=limit, among=among)
    assert chosen_titles(matches, limit=limit, among=among) == expected
