"""Keeps what users typed out of the log, unless the operator asks for it (`--log-texts on`)."""

from __future__ import annotations

import logging


class UserText:
    """A text of a user as an argument of a log call. The log shows its length alone."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"{len(self.text)} characters, not shown"


class ShowUserTexts(logging.Filter):
    """A filter for handlers that may show the texts."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replaces the texts by themselves; drops no record."""
        if isinstance(record.args, tuple):
            record.args = tuple(repr(each.text) if isinstance(each, UserText) else each for each in record.args)
        return True
