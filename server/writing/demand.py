"""The demand for documents, as the feedback of the last weeks shows it. It orders suggestions."""

import math
import time

from server.catalogue.feedback import DAY_SECONDS, FeedbackLog

WINDOW_DAYS = 30
"""Days whose feedback counts."""

MOST_USERS = 1000
"""Users above which the demand for a document does not grow."""

LEAST_SECONDS = 60.0
COST_FACTOR = 100
"""The feedback is counted again after this time, or after this many times as long as it took to count, if longer."""


class Demand:
    """Counts the feedback of a store now and then."""

    def __init__(self, log: FeedbackLog) -> None:
        self._log = log
        self._next = 0.0

    def newest(self) -> dict[str, float] | None:
        """Returns the demand for documents by id, above 0 and up to 1; None if it is not time to count again. Blocks.

        It grows with the logarithm of the users who clicked the document or converted on it.
        """
        started = time.monotonic()
        if started < self._next:
            return None
        users = self._log.users_by_document(self._log.now_seconds() - WINDOW_DAYS * DAY_SECONDS)
        seconds = time.monotonic() - started
        self._next = started + max(LEAST_SECONDS, COST_FACTOR * seconds)
        return {id: min(1.0, math.log1p(count) / math.log1p(MOST_USERS)) for id, count in users.items()}
