"""Words for messages."""

from __future__ import annotations

from collections.abc import Sequence

MOST_NAMES = 5


def some_of(names: Sequence[str]) -> str:
    """Returns the first names, and the number of the others."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
