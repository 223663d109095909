import threading

from hypothesis import given
from hypothesis import strategies as st

from deploy.ray.spans import Span, Spans, newest_common


def test_a_state_is_right_until_the_shard_changes() -> None:
    spans = Spans(10, kept=3)
    spans.add(14, changed=0)
    assert spans.all == [Span(10, 14, 10)]
    spans.add(20, changed=18)
    assert spans.all == [Span(10, 14, 10), Span(18, 20, 20)]
    assert [spans.state_of(sequence) for sequence in (9, 10, 14, 15, 17, 18, 20, 21)] == [
        *(None, 10, 10, None, None, 20, 20, None),
    ]
    for sequence in (21, 22, 23):
        spans.add(sequence, changed=sequence)
    assert [span.state for span in spans.all] == [21, 22, 23]


def test_a_question_waits_until_the_shard_has_read_the_change() -> None:
    spans = Spans(1, kept=3)
    assert not spans.wait(2, seconds=0.01)
    thread = threading.Timer(0.05, lambda: spans.add(2, changed=0))
    thread.start()
    assert spans.wait(2, seconds=20)
    thread.join()


def test_shards_without_a_common_sequence_have_none() -> None:
    assert newest_common([[Span(1, 2, 2)], [Span(3, 4, 4)]]) is None
    assert newest_common([[Span(1, 2, 2), Span(4, 6, 6)], [Span(3, 5, 5)]]) == 5


@given(st.data(), st.integers(1, 4), st.integers(1, 40))
def test_at_the_newest_common_sequence_every_state_has_all_changes_before_it(
    data: st.DataObject, count: int, changes: int
) -> None:
    owners = data.draw(st.lists(st.integers(0, count - 1), min_size=changes, max_size=changes))
    shards = []
    for shard in range(count):
        spans, read = Spans(0, kept=100), 0
        for until in sorted(data.draw(st.sets(st.integers(1, changes)))):
            own = [sequence for sequence in range(read + 1, until + 1) if owners[sequence - 1] == shard]
            spans.add(until, changed=max(own, default=0))
            read = until
        shards.append(spans)
    common = newest_common([spans.all for spans in shards])
    assert common is None or common >= 0
    if common is not None:
        for shard, spans in enumerate(shards):
            state = spans.state_of(common)
            assert state is not None
            low, high = sorted((state, common))
            assert not [sequence for sequence in range(low + 1, high + 1) if owners[sequence - 1] == shard]
