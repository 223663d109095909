"""What a request may ask for, and the checks that hold it to that before any work is done."""

from __future__ import annotations

from dataclasses import dataclass

from chaja.v1 import EncodeRequest, SearchRequest, TextKind
from server.errors import InvalidRequest, Violation
from server.settings import Settings

DEFAULT_LIMIT = 10
"""The default limit of the protocol, where the operator allows as many."""


@dataclass(frozen=True)
class Limits:
    """The limits of one server; those of the model come with its bundle."""

    max_query_characters: int
    max_limit: int
    max_batch_queries: int
    max_encode_texts: int
    max_text_characters: int
    max_message_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Returns the limits that an operator has set."""
        return cls(**{name: getattr(settings, name) for name in cls.__dataclass_fields__})

    @property
    def default_limit(self) -> int:
        """Hits that come back when a query does not say how many."""
        return min(DEFAULT_LIMIT, self.max_limit)

    def check_search(self, request: SearchRequest) -> None:
        """Raises InvalidRequest if the request breaks a limit."""
        _raise_any(self._search_violations(request, ""))

    def check_batch(self, requests: list[SearchRequest]) -> None:
        """Raises InvalidRequest if there are none or too many requests, or one of them breaks a limit."""
        violations = _count_violations("requests", len(requests), self.max_batch_queries)
        if not violations:
            for position, request in enumerate(requests):
                violations += self._search_violations(request, f"requests[{position}].")
        _raise_any(violations)

    def check_encode(self, request: EncodeRequest) -> None:
        """Raises InvalidRequest if there are none or too many texts, or one of them breaks a limit."""
        violations = _count_violations("texts", len(request.texts), self.max_encode_texts)
        if not violations:
            for position, text in enumerate(request.texts):
                violations += _text_violations(f"texts[{position}]", text, self.max_text_characters)
        if request.text_kind not in TextKind.values():
            violations.append(Violation("text_kind", f"is {request.text_kind}, which is no TextKind"))
        _raise_any(violations)

    def _search_violations(self, request: SearchRequest, prefix: str) -> list[Violation]:
        violations = _text_violations(f"{prefix}query", request.query, self.max_query_characters)
        if not 0 <= request.limit <= self.max_limit:
            violations.append(
                Violation(
                    f"{prefix}limit",
                    f"is {request.limit}; it must be from 1 to {self.max_limit}, or 0 for {self.default_limit}",
                )
            )
        return violations


def _text_violations(field: str, text: str, max_characters: int) -> list[Violation]:
    if len(text) > max_characters:
        return [Violation(field, f"has {len(text)} characters; at most {max_characters} are allowed: shorten it")]
    if not text.strip():
        return [Violation(field, "is empty; send at least one character that is not white space")]
    return []


def _count_violations(field: str, count: int, maximum: int) -> list[Violation]:
    if 1 <= count <= maximum:
        return []
    remedy = "split the call" if count else "send at least one"
    return [Violation(field, f"has {count} elements; it must have from 1 to {maximum}: {remedy}")]


def _raise_any(violations: list[Violation]) -> None:
    if violations:
        raise InvalidRequest(violations)
