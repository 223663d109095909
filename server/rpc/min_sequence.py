"""Lets calls wait for the change that they must see: to read what was written through another server."""

from collections.abc import Awaitable, Callable
from typing import Any

from server.errors import InvalidRequest, Violation
from server.writing.reader import Reader

Reach = Callable[[int, Any], Awaitable[None]]
"""Waits for a `min_sequence` in the context of a call; see `reaching`."""


def reaching(reader: Callable[[], Reader], *, max_seconds: float) -> Reach:
    """Returns a function that waits until searches see a `min_sequence`, for `max_seconds` and until the deadline.

    It raises InvalidRequest, and the errors of `Reader.reach`.
    """

    async def reach(min_sequence: int, context: Any) -> None:
        if min_sequence < 0:
            raise InvalidRequest([Violation("min_sequence", f"is {min_sequence}; it must not be negative")])
        if min_sequence:
            left = context.time_remaining()
            await reader().reach(min_sequence, max_seconds=max_seconds if left is None else min(max_seconds, left))

    return reach
