"""Reads the query parameters of the search page's answers as requests: they have the names of their fields."""

import re
from collections.abc import Mapping

from google.protobuf import json_format

from chaja.v1 import Filter, Fusion, Mode, SearchRequest, SuggestRequest, TextUnit
from server.errors import InvalidRequest, Violation

SUGGEST_PARAMETERS = ("text", "limit", "language_code", "filter")
PARAMETERS = ("query", "limit", "language_code", "mode", "filter", "min_score", "fusion", "interpret")

MODES = ("hybrid", "dense", "lexical")
FUSIONS = ("weighted_sum", "reciprocal_rank")
BOOLEANS = ("true", "false")

WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}")
NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")

MAX_FILTER_CHARACTERS = 8000


def search_request(parameters: Mapping[str, str]) -> SearchRequest:
    """Returns the request; raises InvalidRequest. The server checks its limits like those of any call."""
    _check_names(parameters, PARAMETERS)
    request = SearchRequest(query=parameters.get("query", ""), language_code=parameters.get("language_code", ""))
    request.limit = _limit(parameters)
    request.mode = Mode.Value(f"MODE_{_one_of('mode', parameters.get('mode', MODES[0]), MODES)}")
    request.fusion = Fusion.Value(f"FUSION_{_one_of('fusion', parameters.get('fusion', FUSIONS[0]), FUSIONS)}")
    if "interpret" in parameters:
        request.interpret = _one_of("interpret", parameters["interpret"], BOOLEANS) == "TRUE"
    if "min_score" in parameters:
        if not NUMBER.fullmatch(parameters["min_score"]):
            raise _invalid("min_score", "is not a number")
        request.min_score = float(parameters["min_score"])
    if text := parameters.get("filter"):
        request.filter.CopyFrom(_filter(text))
    return request


def suggest_request(parameters: Mapping[str, str]) -> SuggestRequest:
    """Returns the request, with highlights as JavaScript counts them; raises InvalidRequest."""
    _check_names(parameters, SUGGEST_PARAMETERS)
    request = SuggestRequest(
        text=parameters.get("text", ""),
        limit=_limit(parameters),
        language_code=parameters.get("language_code", ""),
        highlight=TextUnit.TEXT_UNIT_UTF16,
    )
    if text := parameters.get("filter"):
        request.filter.CopyFrom(_filter(text))
    return request


def _check_names(parameters: Mapping[str, str], known: tuple[str, ...]) -> None:
    for name in parameters:
        if name not in known:
            raise _invalid(name, f"is unknown; there are {', '.join(known)}")


def _limit(parameters: Mapping[str, str]) -> int:
    limit = parameters.get("limit", "0")
    if not WHOLE_NUMBER.fullmatch(limit):
        raise _invalid("limit", "is not a whole number")
    return int(limit)


def _filter(text: str) -> Filter:
    if len(text) > MAX_FILTER_CHARACTERS:
        raise _invalid("filter", f"has {len(text)} characters; at most {MAX_FILTER_CHARACTERS} are allowed")
    try:
        return json_format.Parse(text, Filter())
    except (json_format.ParseError, RecursionError):
        raise _invalid("filter", "is not a Filter in the JSON of Protobuf") from None


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise _invalid(name, f"must be one of {', '.join(allowed)}")
    return value.upper()


def _invalid(name: str, problem: str) -> InvalidRequest:
    return InvalidRequest([Violation(name, problem)])
