"""Normalises queries before they are encoded."""

from server.sections import normalized


def normalised(query: str) -> str:
    """Returns a query in NFC, since macOS may send Korean decomposed, and with single spaces."""
    return " ".join(normalized("NFC", query).split())
