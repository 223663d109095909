"""The times of a stream's messages, as a record has them."""

import itertools
import math
from collections.abc import Sequence

NO_TIMES = (math.nan, math.nan, math.nan)


def message_times(sent_ns: int, times_ns: Sequence[int]) -> tuple[float, float, float]:
    """Returns the seconds to a stream's first message, and the mean and longest between two messages; NaN for none."""
    if not times_ns:
        return NO_TIMES
    first = (times_ns[0] - sent_ns) / 1e9
    gaps = [later - earlier for earlier, later in itertools.pairwise(times_ns)]
    return (first, sum(gaps) / len(gaps) / 1e9, max(gaps) / 1e9) if gaps else (first, math.nan, math.nan)
