import pytest

from server.ranking.measuring import is_outdated


def test_a_baseline_that_was_never_measured_is_outdated() -> None:
    assert is_outdated(None, 0, documents=0)


@pytest.mark.parametrize(("documents", "step"), [(0, 1), (9, 1), (20, 2), (100, 8), (1000, 64)])
def test_a_baseline_is_outdated_at_every_multiple_of_a_step(documents: int, step: int) -> None:
    sequences = range(1, 500)
    outdated = [each for each in sequences if is_outdated(each - 1, each, documents=documents)]
    assert outdated == [each for each in sequences if each % step == 0]


def test_servers_that_start_at_different_times_measure_at_the_same_sequences() -> None:
    def measured(start: int) -> list[int]:
        last, found = start, []
        for sequence in range(start, 1000):
            if is_outdated(last, sequence, documents=1000):
                last = sequence
                found.append(sequence)
        return found

    assert measured(3)[-5:] == measured(517)[-5:]
