"""Brings a query into the form that is encoded."""

import unicodedata


def normalised(query: str) -> str:
    """Returns a query composed (NFC; a Mac sends Korean in pieces), and with single spaces."""
    return " ".join(unicodedata.normalize("NFC", query).split())
