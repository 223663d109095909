import math

import pytest

from loadtest.generator.message_times import message_times


@pytest.mark.parametrize(
    ("times_ns", "expected"),
    [
        ([], (math.nan, math.nan, math.nan)),
        ([3_000_000_000], (2.0, math.nan, math.nan)),
        ([3_000_000_000, 4_000_000_000, 7_000_000_000], (2.0, 2.0, 3.0)),
    ],
)
def test_the_times_of_messages_are_the_first_and_the_gaps(times_ns: list[int], expected: tuple[float, ...]) -> None:
    assert message_times(1_000_000_000, times_ns) == pytest.approx(expected, nan_ok=True)
