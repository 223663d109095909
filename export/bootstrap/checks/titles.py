"""Finds titles that no user would type into a search box."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from export.bootstrap.checks.finding import Check, Finding, quoted
from export.bootstrap.synthetic.making import without_case_and_spaces
from server.catalogue.document import Document

LONGEST_COLUMNS = 80
"""Width of the longest title, in columns of a terminal: a Korean letter takes two."""

MARKUP = re.compile(r"<[A-Za-z/!][^>]*>|&(?:[a-z]+|#\d+);|https?://|www\.|\*\*|\{\{|%[sd]\b")
CODE = re.compile(
    r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+|[A-Z]{1,6}[-_]?\d{3,}[A-Z0-9-]*|[a-z]{2,}(?:[A-Z][a-z0-9]+){2,}|(?:[a-z]+\.){2,}\w+"
)
INTERNAL = re.compile(
    r"[(\[]\s*(?:구|신|임시|삭제|미사용|테스트|폐지|old|new|temp|test|draft)\s*[)\]]"
    r"|^테스트\b|테스트\s?(?:용|중|문서|\d)|삭제\s?예정|사용\s?안\s?함|미사용|복사본|최종본"
    r"|^test\b|^copy of\b|\b(?:test\d+|todo|tbd|deprecated|dummy|do not use)\b|\bv\d+(?:\.\d+)*\b",
    re.IGNORECASE,
)
"""Words that the owners of a catalogue write for each other."""

PATTERNS = (
    (MARKUP, "markup or an address", "write plain words"),
    (INTERNAL, "words of its owners", "take them out, or the document"),
    (CODE, "a code", "take it out; attributes are for codes"),
)
"""Patterns that titles should not have, the name of each, and what to do."""


def odd_titles(documents: Sequence[Document]) -> Iterator[Finding]:
    """Yields a finding for each title that no user would type, and for each document without a title."""
    for document in documents:
        titles = document.titles()
        if not titles:
            yield Finding(
                check=Check.TITLE,
                documents=[document.id],
                problem="has no title",
                advice="add the name that users see",
            )
        for title in titles.values():
            if (reason := _reason(title, document.id)) is not None:
                yield Finding(
                    check=Check.TITLE,
                    documents=[document.id],
                    problem=f"{quoted(title)} {reason[0]}",
                    advice=reason[1],
                )


def _reason(title: str, id: str) -> tuple[str, str] | None:
    """Returns why no user would type a title, and what to do; None if someone may."""
    if (problem := _nameless(title, id)) is not None:
        return problem, "write the name that users see"
    for pattern, holds, advice in PATTERNS:
        if (found := pattern.search(title)) is not None:
            return f"has {holds}, {quoted(found.group())}", advice
    if (columns := _columns(title)) > LONGEST_COLUMNS:
        return f"is {columns} columns wide, above {LONGEST_COLUMNS}", "shorten it to a name; the text is for more"
    return None


def _nameless(title: str, id: str) -> str | None:
    letters = sum(map(str.isalpha, title))
    if not letters:
        return "has no letters"
    if letters == 1 and len(without_case_and_spaces(title)) == 1:
        return "is a single letter"
    return (
        "is the id of the document"
        if without_case_and_spaces(title) == without_case_and_spaces(id) and CODE.fullmatch(title.strip())
        else None
    )


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in unicodedata.normalize("NFC", text))
