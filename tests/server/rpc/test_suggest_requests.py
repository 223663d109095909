import unicodedata
from pathlib import Path

import pytest

from chaja.v1 import AttributeValue, Exists, Filter, SuggestRequest, TextUnit
from chaja.v1 import Equals as EqualsMessage
from server.attributes.filter import Equals
from server.errors import InvalidRequest
from server.rpc.limits import Limits
from server.rpc.suggest_requests import SuggestQuery, read_suggest_request
from server.settings import Settings

LIMITS = Limits.of(Settings(bundle=Path(), catalogue=Path(), max_query_characters=20, max_limit=5))


def test_a_request_is_read() -> None:
    category = EqualsMessage(attribute="category", value=AttributeValue(string_value="card"))
    request = SuggestRequest(
        text=unicodedata.normalize("NFD", " 카드\u3000분실 "),
        limit=3,
        language_code="KO_kr",
        filter=Filter(equals=category),
        highlight=TextUnit.TEXT_UNIT_UTF16,
    )
    assert read_suggest_request(request, LIMITS) == SuggestQuery(
        "카드 분실", 3, "ko-kr", Equals("category", "card"), TextUnit.TEXT_UNIT_UTF16
    )


def test_the_default_limit_is_the_most_that_the_operator_allows() -> None:
    assert read_suggest_request(SuggestRequest(text="카"), LIMITS) == SuggestQuery("카", 5, None, None, 0)


def test_all_violations_are_named_at_once() -> None:
    filter = Filter(exists=Exists())
    request = SuggestRequest(text="x" * 21, limit=6, highlight=7, filter=filter)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest) as raised:
        read_suggest_request(request, LIMITS)
    assert [(each.field, each.description) for each in raised.value.violations] == [
        ("text", "has 21 characters; at most 20 are allowed: shorten it"),
        ("limit", "is 6; it must be 1 to 5, or 0 for the default of 5"),
        ("highlight", "is 7, which is not a TextUnit"),
        ("filter.exists.attribute", "is empty; name an attribute"),
    ]
