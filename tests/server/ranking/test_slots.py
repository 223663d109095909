import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.ranking.slots import DocumentSlots


def test_one_change_may_add_and_retire_a_document() -> None:
    slots = DocumentSlots()
    slots.change([3, 5], [])
    before = slots.view()
    slots.change([7, 8], [3, 7, 99])
    view = slots.view()
    assert view.sequences.tolist() == [3, 5, 7, 8]
    assert view.live.tolist() == [False, True, False, True]
    assert (view.live_count, view.dead_count) == (2, 2)
    assert (before.live.tolist(), before.live_count) == ([True, True], 2), "a view stays as it was"


def test_empty_slots_have_no_documents() -> None:
    view = DocumentSlots().view()
    assert (view.live_count, view.dead_count) == (0, 0)
    assert view.slots_of([1, 2]).tolist() == []


def test_slots_continue_from_given_slots() -> None:
    slots = DocumentSlots(np.array([2, 4], dtype=np.int64), np.array([False, True]))
    slots.change([6], [4])
    assert slots.view().sequences.tolist() == [2, 4, 6]
    assert slots.view().live.tolist() == [False, False, True]


@given(st.lists(st.tuples(st.integers(0, 50), st.lists(st.integers(0, 3000), max_size=5)), max_size=60))
def test_views_never_change(steps: list[tuple[int, list[int]]]) -> None:
    slots, sequence = DocumentSlots(), 0
    live: dict[int, bool] = {}
    views = []
    for count, retired in steps:
        added = list(range(sequence + 1, sequence + 1 + count))
        sequence += count
        slots.change(added, retired)
        live |= dict.fromkeys(added, True)
        live |= {each: False for each in retired if each in live}
        views.append((slots.view(), dict(live)))
    for view, expected in views:
        assert dict(zip(view.sequences.tolist(), view.live.tolist(), strict=True)) == expected
        assert view.live_count == sum(expected.values())
        assert view.slots_of(sorted(expected)).tolist() == list(range(len(expected)))
