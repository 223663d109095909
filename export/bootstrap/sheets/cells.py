"""Cells of a sheet that spreadsheet programs show as they are, and keys that survive these programs.

A program runs a cell that begins with `=`, `+`, `-` or `@` as a formula (CWE-1236), and turns an id such as `007` or
`1-2` into a number or a date. So texts get an apostrophe where they need one, and each row is identified by a key.
"""

from __future__ import annotations

import hashlib
import unicodedata

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""Characters that a formula begins with, and the wide forms that some programs read as the same."""

ESCAPE = "'"

LONGEST_CELL = 1000
"""Characters of the longest text in a cell; a spreadsheet program holds 32,767."""

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of characters that are not visible and may end a line, or hide or reverse a text."""

KEY_BYTES = 6


def visible(text: str) -> str:
    """Returns the visible characters of a text, with single spaces."""
    shown = (" " if unicodedata.category(each) in HIDDEN else each for each in text)
    return " ".join("".join(shown).split())


def safe(text: str) -> str:
    """Returns a text in one line that no spreadsheet program runs as a formula; a long one is cut."""
    shown = visible(text)
    if len(shown) > LONGEST_CELL:
        shown = shown[: LONGEST_CELL - 1] + "…"
    return ESCAPE + shown if shown.startswith(FORMULA) else shown


def key_of(query: str, document_id: str) -> str:
    """Returns the key of a query and a document, which says nothing about either."""
    return f"{query_part(query)}-{document_part(document_id)}"


def query_part(query: str) -> str:
    """Returns the part of a key that names the query."""
    return f"q{_digest(query)}"


def document_part(id: str) -> str:
    """Returns the part of a key that names the document."""
    return f"d{_digest(id)}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).hexdigest()
