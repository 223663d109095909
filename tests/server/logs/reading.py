"""Reads the events that a test has logged."""

from typing import Any

import pytest


def events(caplog: pytest.LogCaptureFixture, logger: str) -> list[dict[str, Any]]:
    """Returns the fields of a logger's events, without empty ones."""
    records = [record.msg for record in caplog.records if record.name == logger and isinstance(record.msg, dict)]
    return [{name: value for name, value in each.items() if value not in ("", None)} for each in records]
