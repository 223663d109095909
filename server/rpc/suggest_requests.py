"""Reads requests for suggestions: checks them, and turns them into what is looked up."""

from typing import NamedTuple

from chaja.v1 import SuggestRequest
from server.attributes.filter import Filter
from server.catalogue.languages import canonical_language
from server.encoding.normalisation import normalised
from server.rpc.hits import LONGEST_LANGUAGE_CODE
from server.rpc.limits import Limits, number_violations, raise_any, read_filter, text_violations, unit_violations

READ_LANGUAGE_CODE = LONGEST_LANGUAGE_CODE + 1
"""Characters of a language code that are read. A code of so many is longer than that of any language."""


class SuggestQuery(NamedTuple):
    """A request as it was read.

    Attributes:
        text: What was typed, in NFC and with single spaces.
        limit: Most suggestions.
        language: Code of the language of the suggestions; None for all.
        filter: Filter of the documents; None for all.
        unit: Number of the `TextUnit` of highlights; 0 for none.
    """

    text: str
    limit: int
    language: str | None
    filter: Filter | None
    unit: int


def read_suggest_request(request: SuggestRequest, limits: Limits) -> SuggestQuery:
    """Returns what a request asks for; raises InvalidRequest if it breaks a rule."""
    violations = text_violations("text", request.text, limits.max_query_characters)
    violations += number_violations("limit", request.limit, limits.max_limit, limits.default_limit)
    violations += unit_violations("highlight", request.highlight)
    filter = read_filter(request, "", violations)
    raise_any(violations)
    return SuggestQuery(
        text=normalised(request.text),
        limit=request.limit or limits.default_limit,
        language=canonical_language(request.language_code[:READ_LANGUAGE_CODE]) or None,
        filter=filter,
        unit=request.highlight,
    )
