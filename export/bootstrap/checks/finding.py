"""Findings of the checks, as text and as JSON."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Sequence

import msgspec

from export.text import some_of
from server.terminal import printable


class Check(enum.Enum):
    """A check of a catalogue. The value names it in reports."""

    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near duplicate"
    HIDDEN = "hidden document"
    HUB = "hub"
    TITLE = "title"
    MAGNET = "magnet example"
    SHARED_EXAMPLE = "shared example"
    UNEVEN_EXAMPLES = "uneven examples"


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that makes search worse.

    Attributes:
        check: The check that found it.
        documents: Ids of the documents, the one to change first.
        problem: What is wrong.
        advice: What to do.
        cosine: The similarity of the documents, if that is the reason.
    """

    check: Check
    documents: list[str]
    problem: str
    advice: str
    cosine: float | None = None


def as_text(findings: Sequence[Finding], *, documents: int) -> str:
    """Returns one line for each finding, and one with their number."""
    lines = [
        printable(f"{each.check.value}: {some_of(each.documents)}: {each.problem}: {each.advice}") for each in findings
    ]
    counts = Counter(each.check for each in findings)
    by_check = ", ".join(f"{check.value} {number:,}" for check, number in counts.items())
    return "\n".join([*lines, f"{documents:,} documents: {by_check or 'no finding'}"])


def as_json(findings: Sequence[Finding], *, documents: int) -> str:
    """Returns the findings with all documents."""
    content = {"documents": documents, "findings": msgspec.to_builtins(findings)}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


QUOTED_CHARACTERS = 40


def quoted(text: str) -> str:
    """Returns the beginning of a text in quotes."""
    short = " ".join(text.split())
    return f"'{short[: QUOTED_CHARACTERS - 1]}…'" if len(short) > QUOTED_CHARACTERS else f"'{short}'"
