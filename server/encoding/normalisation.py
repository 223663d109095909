"""Normalises queries before they are encoded."""

from server.composition import composed, without_invisible


def normalised(query: str) -> str:
    """Returns a query in NFC, since macOS may send Korean decomposed, with single spaces and only what can be seen."""
    return " ".join(composed(without_invisible(query)).split())
