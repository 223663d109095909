"""Normalises queries before they are encoded."""

import unicodedata


def normalised(query: str) -> str:
    """Returns a query in NFC, since macOS may send Korean decomposed, and with single spaces."""
    return " ".join(unicodedata.normalize("NFC", query).split())
