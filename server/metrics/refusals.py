"""Calls and connections that are refused before a method begins."""

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter

from server.core_log import FailedHandshake

Refusal = Literal[
    "token_missing",
    "token_unknown",
    "role_insufficient",
    "unknown_method",
    "message_too_large",
    "headers_too_large",
    "connection_overloaded",
    "http_token_missing",
    "http_token_unknown",
    FailedHandshake,
]
"""The reasons for which calls, connections and HTTP requests are refused before a method begins."""

REFUSALS: tuple[Refusal, ...] = get_args(Refusal)


def refusal_counters(registry: CollectorRegistry) -> dict[Refusal, Counter]:
    """Returns a counter for each reason."""
    refused = Counter(
        "chaja_refused_total",
        "Calls, connections and HTTP requests refused before a method could begin, by reason.",
        ["reason"],
        registry=registry,
    )
    return {reason: refused.labels(reason) for reason in REFUSALS}
