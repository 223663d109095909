import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.ranking.slots import DocumentSlots


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
    views.append((DocumentSlots().view(), {}))
    for view, expected in views:
        assert dict(zip(view.sequences.tolist(), view.live.tolist(), strict=True)) == expected
        assert view.live_count == sum(expected.values()) == len(expected) - view.dead_count
        assert view.slots_of([*sorted(expected), 10**6]).tolist() == list(range(len(expected)))
