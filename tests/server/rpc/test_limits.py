from __future__ import annotations

from pathlib import Path

import pytest

from chaja.v1 import EncodeRequest, SearchRequest
from chaja.v1 import Limits as LimitsMessage
from server.errors import InvalidRequest
from server.rpc.limits import Limits
from server.settings import Settings

LIMITS = Limits.of(
    Settings(
        bundle=Path(),
        catalogue=Path(),
        max_query_characters=10,
        max_limit=5,
        max_batch_queries=2,
        max_encode_texts=2,
        max_text_characters=20,
    )
)


def violations_of(error: InvalidRequest) -> list[tuple[str, str]]:
    return [(violation.field, violation.description) for violation in error.violations]


@pytest.mark.parametrize("request_", [SearchRequest(query="찾아"), SearchRequest(query="x" * 10, limit=5)])
def test_requests_at_the_limits_pass(request_: SearchRequest) -> None:
    LIMITS.check_search(request_)
    LIMITS.check_batch([request_, request_])


@pytest.mark.parametrize("query", ["", " ", "\t\n", "\u3000"])
def test_an_empty_query_is_refused(query: str) -> None:
    with pytest.raises(InvalidRequest, match="query: is empty; send at least one character that is not white space"):
        LIMITS.check_search(SearchRequest(query=query))


def test_all_violations_are_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as raised:
        LIMITS.check_search(SearchRequest(query="x" * 11, limit=-1))
    assert violations_of(raised.value) == [
        ("query", "has 11 characters; at most 10 are allowed: shorten it"),
        ("limit", "is -1; it must be from 1 to 5, or 0 for 5"),
    ]


def test_a_violation_in_a_batch_is_named_by_its_place() -> None:
    with pytest.raises(InvalidRequest) as raised:
        LIMITS.check_batch([SearchRequest(query="fine"), SearchRequest(query=" ", limit=6)])
    assert [field for field, _ in violations_of(raised.value)] == ["requests[1].query", "requests[1].limit"]


@pytest.mark.parametrize("count", [0, 3])
def test_a_batch_has_a_size(count: int) -> None:
    with pytest.raises(InvalidRequest, match=f"requests: has {count} elements; it must have from 1 to 2"):
        LIMITS.check_batch([SearchRequest(query="x")] * count)


def test_texts_to_encode_are_checked_one_by_one() -> None:
    with pytest.raises(InvalidRequest) as raised:
        LIMITS.check_encode(EncodeRequest(texts=["x" * 21, ""], text_kind=7))  # type: ignore[arg-type]
    assert [field for field, _ in violations_of(raised.value)] == ["texts[0]", "texts[1]", "text_kind"]
    with pytest.raises(InvalidRequest, match="texts: has 0 elements"):
        LIMITS.check_encode(EncodeRequest())


def test_the_default_limit_is_held_to_the_highest_limit() -> None:
    assert LIMITS.default_limit == 5
    assert Limits.of(Settings(bundle=Path(), catalogue=Path())).default_limit == 10


def test_the_protocol_tells_every_limit() -> None:
    told = {field.name for field in LimitsMessage.DESCRIPTOR.fields}
    assert told == set(Limits.__dataclass_fields__) | {"max_query_tokens"}
