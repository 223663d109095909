from hypothesis import given
from hypothesis import strategies as st

from export.tuning.batches import Batches
from export.tuning.pairs import Negative, Pair
from server.encoding.kind import TextKind

DOCUMENTS = "abcdef"


def pair(query: str, relevant: str, negatives: str = "") -> Pair:
    return Pair(
        (query, TextKind.QUERY),
        ((relevant[0], TextKind.TITLE),),
        frozenset(relevant),
        tuple(Negative((each, TextKind.TITLE), each) for each in negatives),
    )


def drawn(pairs: list[Pair], *, size: int, epoch: int = 0, seed: int = 0, apart: bool = True) -> list[list[int]]:
    batches = Batches(pairs, size=size, apart=apart, seed=seed)
    batches.set_epoch(epoch)
    found = list(batches)
    assert len(found) == len(batches)
    assert {number for batch in found for _, number in batch} == {epoch}
    return [[place for place, _ in batch] for batch in found]


@st.composite
def some_pairs(draw: st.DrawFn) -> list[Pair]:
    labels = draw(st.lists(st.sets(st.sampled_from(DOCUMENTS), min_size=1, max_size=2), min_size=1, max_size=40))
    return [
        pair(
            f"q{number}",
            "".join(sorted(relevant)),
            "".join(sorted(draw(st.sets(st.sampled_from(DOCUMENTS), max_size=2)) - relevant)),
        )
        for number, relevant in enumerate(labels)
    ]


@given(some_pairs(), st.integers(2, 8), st.integers(0, 3))
def test_no_text_of_a_batch_answers_the_query_of_another_pair(pairs: list[Pair], size: int, epoch: int) -> None:
    found = drawn(pairs, size=size, epoch=epoch)
    places = [place for batch in found for place in batch]
    assert len(places) == len(set(places))
    for batch in found:
        assert 1 <= len(batch) <= size
        for one in batch:
            for other in batch:
                if one != other:
                    negatives = {each.group for each in pairs[other].negatives}
                    assert not pairs[one].relevant & (pairs[other].relevant | negatives)


def test_an_epoch_has_every_pair_once_if_documents_are_many() -> None:
    pairs = [pair(f"q{number}", f"{number}"[-1]) for number in range(40)]
    assert sorted(place for batch in drawn(pairs, size=4) for place in batch) == list(range(40))


def test_the_seed_and_the_epoch_decide_the_batches() -> None:
    pairs = [pair(f"q{number}", f"{number}"[-1]) for number in range(40)]
    assert drawn(pairs, size=4) == drawn(pairs, size=4)
    assert drawn(pairs, size=4) != drawn(pairs, size=4, epoch=1)
    assert drawn(pairs, size=4) != drawn(pairs, size=4, seed=1)


def test_a_document_with_very_many_labels_has_one_of_each_batch() -> None:
    pairs = [pair(f"q{number}", "a") for number in range(30)] + [pair(f"r{number}", "b") for number in range(2)]
    assert [len(batch) for batch in drawn(pairs, size=8)] in ([2, 2, 1, 1], [2, 1, 2, 1], [2, 1, 1, 2], [1, 2, 2, 1])


def test_batches_that_need_not_be_apart_are_full() -> None:
    pairs = [pair(f"q{number}", "a") for number in range(30)] + [pair(f"r{number}", "b") for number in range(2)]
    found = drawn(pairs, size=8, apart=False)
    assert [len(batch) for batch in found] == [8, 8, 8, 8]
    assert sorted(place for batch in found for place in batch) == list(range(32))
