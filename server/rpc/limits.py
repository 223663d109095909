"""The limits of requests, and the checks that enforce them before any work is done."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from chaja.v1 import EncodeRequest, SearchRequest, SuggestRequest, TextKind, TextUnit
from chaja.v1 import Fusion as FusionMessage
from chaja.v1 import Mode as ModeMessage
from server.attributes.filter import Filter
from server.composition import is_visible
from server.errors import InvalidRequest, Violation
from server.ranking.options import Fusion, Mode, SearchOptions
from server.rpc.filters import to_filter
from server.settings import Settings

DEFAULT_LIMIT = 10
"""The protocol's default for `SearchRequest.limit`, unless the operator allows fewer hits."""

DEFAULT_PAGE_SIZE = 100
"""The protocol's default for `ListDocumentsRequest.page_size`, unless the operator allows fewer documents."""

MAX_NAME_CHARACTERS = 256
"""Maximum characters in the id of a document, a request or an import, and in the name of a facet."""

MAX_FACETS = 8
"""Maximum of `SearchRequest.facets`. Each costs a pass over an attribute of the whole catalogue."""

MODE_OF: dict[int, Mode] = {
    ModeMessage.MODE_UNSPECIFIED: Mode.DENSE,
    ModeMessage.MODE_DENSE: Mode.DENSE,
    ModeMessage.MODE_LEXICAL: Mode.LEXICAL,
    ModeMessage.MODE_HYBRID: Mode.HYBRID,
}

FUSION_OF: dict[int, Fusion] = {
    FusionMessage.FUSION_UNSPECIFIED: Fusion.WEIGHTED_SUM,
    FusionMessage.FUSION_WEIGHTED_SUM: Fusion.WEIGHTED_SUM,
    FusionMessage.FUSION_RECIPROCAL_RANK: Fusion.RECIPROCAL_RANK,
}


RESERVED_BYTES = 2048
"""Bytes of an answer that are reserved for its fields beside documents and hits."""


@dataclass(frozen=True)
class Limits:
    """The limits that the operator sets. The model's limits come with its bundle."""

    max_query_characters: int
    max_limit: int
    max_paged_hits: int
    max_batch_queries: int
    max_encode_texts: int
    max_text_characters: int
    max_message_bytes: int
    max_write_documents: int
    max_document_characters: int
    max_page_size: int
    max_response_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Returns the limits in the settings."""
        return cls(**{name: getattr(settings, name) for name in cls.__dataclass_fields__})

    @property
    def max_document_bytes(self) -> int:
        """Maximum size of a written document as a message: every answer can hold it, or a hit of it."""
        return self.max_response_bytes - 2 * RESERVED_BYTES

    @property
    def default_limit(self) -> int:
        """Maximum hits of a query that sets no limit."""
        return min(DEFAULT_LIMIT, self.max_limit)

    def search_options(self, request: SearchRequest) -> SearchOptions:
        """Returns the options of a search; raises InvalidRequest if the request breaks a rule."""
        violations: list[Violation] = []
        options = self._search_options(request, "", violations)
        raise_any(violations)
        return options

    def batch_options(self, requests: Sequence[SearchRequest]) -> list[SearchOptions]:
        """Returns the options of each search of a batch; raises InvalidRequest also if there are none or too many."""
        violations = count_violations("requests", len(requests), self.max_batch_queries)
        raise_any(violations)
        options = [
            self._search_options(request, f"requests[{position}].", violations)
            for position, request in enumerate(requests)
        ]
        raise_any(violations)
        return options

    def check_encode(self, request: EncodeRequest) -> None:
        """Raises InvalidRequest if there are no texts or too many, or if a text breaks a limit."""
        violations = count_violations("texts", len(request.texts), self.max_encode_texts)
        if not violations:
            for position, text in enumerate(request.texts):
                violations += text_violations(f"texts[{position}]", text, self.max_text_characters)
        if request.text_kind not in TextKind.values():
            violations.append(Violation("text_kind", f"is {request.text_kind}, which is not a TextKind"))
        raise_any(violations)

    def page_size(self, page_size: int) -> int:
        """Returns the maximum documents of a page; raises InvalidRequest if the request asks for too many."""
        default = min(DEFAULT_PAGE_SIZE, self.max_page_size)
        raise_any(number_violations("page_size", page_size, self.max_page_size, default))
        return page_size or default

    def _search_options(self, request: SearchRequest, prefix: str, violations: list[Violation]) -> SearchOptions:
        """Returns the options of a search, and appends its violations."""
        violations += text_violations(f"{prefix}query", request.query, self.max_query_characters)
        violations += number_violations(f"{prefix}limit", request.limit, self.max_limit, self.default_limit)
        mode, fusion, min_score = MODE_OF.get(request.mode), FUSION_OF.get(request.fusion), None
        if mode is None:
            violations.append(Violation(f"{prefix}mode", f"is {request.mode}, which is not a Mode"))
        if fusion is None:
            violations.append(Violation(f"{prefix}fusion", f"is {request.fusion}, which is not a Fusion"))
        if request.HasField("min_score"):
            min_score = request.min_score
            if not math.isfinite(min_score):
                violations.append(Violation(f"{prefix}min_score", f"is {min_score}; it must be a finite number"))
        filter = read_filter(request, prefix, violations)
        violations += unit_violations(f"{prefix}highlight", request.highlight)
        if request.facets:
            violations += _facet_violations(f"{prefix}facets", request.facets)
        return SearchOptions(
            limit=request.limit or self.default_limit,
            mode=mode or Mode.DENSE,
            filter=filter,
            min_score=min_score,
            fusion=fusion or Fusion.WEIGHTED_SUM,
            facets=tuple(request.facets),
            allow_partial=request.allow_partial,
        )


def check_name(field: str, name: str) -> None:
    """Raises InvalidRequest if a name is missing or too long."""
    raise_any(name_violations(field, name))


def name_violations(field: str, name: str) -> list[Violation]:
    """Returns the violations in the id of a document, a request or an import."""
    return text_violations(field, name, MAX_NAME_CHARACTERS)


def count_violations(field: str, count: int, maximum: int) -> list[Violation]:
    """Returns the violations in the number of elements of a field."""
    if 1 <= count <= maximum:
        return []
    remedy = "split the call" if count else "send at least one"
    return [Violation(field, f"has {count} elements; it must have 1 to {maximum}: {remedy}")]


def raise_any(violations: list[Violation]) -> None:
    """Raises InvalidRequest if there are violations."""
    if violations:
        raise InvalidRequest(violations)


def _facet_violations(field: str, attributes: Sequence[str]) -> list[Violation]:
    """Returns the violations in the attributes whose values are to be counted."""
    violations = []
    if len(attributes) > MAX_FACETS:
        violations.append(Violation(field, f"has {len(attributes)} elements; at most {MAX_FACETS} are allowed"))
    for position, attribute in enumerate(attributes[:MAX_FACETS]):
        if not attribute:
            violations.append(Violation(f"{field}[{position}]", "is empty; send the name of an attribute"))
        elif len(attribute) > MAX_NAME_CHARACTERS:
            problem = f"has {len(attribute)} characters; at most {MAX_NAME_CHARACTERS} are allowed"
            violations.append(Violation(f"{field}[{position}]", problem))
        elif attribute in attributes[:position]:
            violations.append(Violation(f"{field}[{position}]", "names an attribute again: send each name once"))
    return violations


def read_filter(request: SearchRequest | SuggestRequest, prefix: str, violations: list[Violation]) -> Filter | None:
    """Returns the filter of a request, None if it has none, and appends its violations."""
    if not request.HasField("filter"):
        return None
    try:
        return to_filter(request.filter, field=f"{prefix}filter")
    except InvalidRequest as error:
        violations += error.violations
        return None


def unit_violations(field: str, unit: int) -> list[Violation]:
    """Returns the violations in the unit of highlights; none if there is no unit."""
    return [Violation(field, f"is {unit}, which is not a TextUnit")] if unit and unit not in TextUnit.values() else []


def number_violations(field: str, number: int, maximum: int, default: int) -> list[Violation]:
    """Returns the violations in a number from 1 to a maximum; 0 stands for the default."""
    if 0 <= number <= maximum:
        return []
    return [Violation(field, f"is {number}; it must be 1 to {maximum}, or 0 for the default of {default}")]


def text_violations(field: str, text: str, max_characters: int) -> list[Violation]:
    """Returns the violations in a text that is required."""
    if len(text) > max_characters:
        return [Violation(field, f"has {len(text)} characters; at most {max_characters} are allowed: shorten it")]
    if not is_visible(text):
        return [Violation(field, "is empty; send at least one visible character")]
    return []
