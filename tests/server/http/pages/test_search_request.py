import json

import pytest

from chaja.v1 import (
    AttributeValue,
    Equals,
    Filter,
    FilterList,
    Fusion,
    Mode,
    SearchRequest,
    SuggestRequest,
    TextUnit,
)
from server.errors import InvalidRequest
from server.http.pages.search_request import MAX_FILTER_CHARACTERS, search_request, suggest_request


def test_parameters_are_fields_of_the_request() -> None:
    one = Filter(equals=Equals(attribute="a", value=AttributeValue(number_value=3)))
    filters = {"all_of": {"filters": [{"equals": {"attribute": "a", "value": {"number_value": 3}}}]}}
    parameters = {
        "query": "카드",
        "limit": "3",
        "language_code": "ko",
        "mode": "lexical",
        "filter": json.dumps(filters),
        "min_score": "0.5",
        "fusion": "reciprocal_rank",
        "interpret": "false",
    }
    assert search_request(parameters) == SearchRequest(
        query="카드",
        limit=3,
        language_code="ko",
        mode=Mode.MODE_LEXICAL,
        filter=Filter(all_of=FilterList(filters=[one])),
        min_score=0.5,
        fusion=Fusion.FUSION_RECIPROCAL_RANK,
        interpret=False,
    )


def test_the_default_mode_is_hybrid() -> None:
    assert search_request({"query": "x"}).mode == Mode.MODE_HYBRID


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("limit", "many", "limit: is not a whole number"),
        ("limit", "99999999999999", "limit: is not a whole number"),
        ("limit", "1_0", "limit: is not a whole number"),
        ("limit", "１０", "limit: is not a whole number"),
        ("min_score", "0_1", "min_score: is not a number"),
        ("min_score", "nan", "min_score: is not a number"),
        ("mode", "fast", "mode: must be one of hybrid, dense, lexical"),
        ("fusion", "", "fusion: must be one of weighted_sum, reciprocal_rank"),
        ("min_score", "high", "min_score: is not a number"),
        ("filter", "{", "filter: is not a Filter in the JSON of Protobuf"),
        ("filter", '{"equals": 3}', "filter: is not a Filter in the JSON of Protobuf"),
        ("filter", "[" * 5000, "filter: is not a Filter in the JSON of Protobuf"),
        ("filter", '{"noneOf":{"filters":[' * 300, "filter: is not a Filter in the JSON of Protobuf"),
        ("filter", " " * (MAX_FILTER_CHARACTERS + 1), "filter: has 8001 characters; at most 8000 are allowed"),
        ("interpret", "no", "interpret: must be one of true, false"),
        ("q", "x", "q: is unknown; there are query, limit, language_code, mode, filter, min_score, fusion, interpret"),
    ],
)
def test_invalid_parameters_are_named(name: str, value: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        search_request({"query": "x", name: value})
    assert str(error.value) == problem


def test_parameters_are_fields_of_a_request_for_suggestions() -> None:
    filter = {"equals": {"attribute": "a", "value": {"number_value": 3}}}
    parameters = {"text": "카", "limit": "3", "language_code": "ko", "filter": json.dumps(filter)}
    assert suggest_request(parameters) == SuggestRequest(
        text="카",
        limit=3,
        language_code="ko",
        filter=Filter(equals=Equals(attribute="a", value=AttributeValue(number_value=3))),
        highlight=TextUnit.TEXT_UNIT_UTF16,
    )
    for wrong in ({"query": "카"}, {"limit": "x"}, {"filter": "{"}):
        with pytest.raises(InvalidRequest):
            suggest_request(wrong)
