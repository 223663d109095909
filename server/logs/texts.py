"""Keeps users' texts out of the log unless the operator allows them (`--log-texts on`)."""

from __future__ import annotations

import logging


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
