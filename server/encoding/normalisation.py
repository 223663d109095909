"""Normalises queries before they are encoded."""

from server.composition import composed


def normalised(query: str) -> str:
    """Returns a query in NFC, since macOS may send Korean decomposed, and with single spaces."""
    return " ".join(composed(query).split())
