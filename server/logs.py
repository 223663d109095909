"""Keeps users' texts out of the log unless the operator allows them (`--log-texts on`), and limits repeated lines."""

from __future__ import annotations

import logging
import time

REPEAT_SECONDS = 60.0
"""Minimum time between two lines about the same event."""


class UserText:
    """A user's text as an argument of a log call. The log shows only its length."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"{len(self.text)} characters, not shown"


class ShowUserTexts(logging.Filter):
    """A filter that makes a log handler show users' texts."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replaces each `UserText` argument with its text; drops no record."""
        if isinstance(record.args, tuple):
            record.args = tuple(repr(each.text) if isinstance(each, UserText) else each for each in record.args)
        return True


class RepeatedLine:
    """A warning about an event that clients can repeat: at most one line a minute. Used on the event loop only."""

    def __init__(self, log: logging.Logger, message: str) -> None:
        """Takes a message with one `%d`, for the number of events so far."""
        self._log = log
        self._message = message
        self._count = 0
        self._next_at = float("-inf")

    def add(self) -> None:
        """Counts an event."""
        self._count += 1
        if (now := time.monotonic()) >= self._next_at:
            self._next_at = now + REPEAT_SECONDS
            self._log.warning(self._message, self._count)
