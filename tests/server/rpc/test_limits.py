from pathlib import Path

import pytest

from chaja.v1 import EncodeRequest, SearchRequest
from chaja.v1 import Fusion as FusionMessage
from chaja.v1 import Limits as LimitsMessage
from chaja.v1 import Mode as ModeMessage
from server.attributes.filter import Exists
from server.errors import InvalidRequest
from server.ranking.options import Fusion, Mode, SearchOptions
from server.rpc.limits import FUSION_OF, MODE_OF, Limits
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
        max_page_size=50,
    )
)


def violations_of(error: InvalidRequest) -> list[tuple[str, str]]:
    return [(violation.field, violation.description) for violation in error.violations]


@pytest.mark.parametrize("request_", [SearchRequest(query="찾아"), SearchRequest(query="x" * 10, limit=5)])
def test_requests_at_the_limits_pass(request_: SearchRequest) -> None:
    LIMITS.search_options(request_)
    LIMITS.batch_options([request_, request_])


@pytest.mark.parametrize("query", ["", " ", "\t\n", "\u3000", "\u200b", " \ufeff\u200e"])
def test_an_empty_query_is_rejected(query: str) -> None:
    with pytest.raises(InvalidRequest, match="query: is empty; send at least one visible character"):
        LIMITS.search_options(SearchRequest(query=query))


def test_all_violations_are_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as raised:
        LIMITS.search_options(SearchRequest(query="x" * 11, limit=-1))
    assert violations_of(raised.value) == [
        ("query", "has 11 characters; at most 10 are allowed: shorten it"),
        ("limit", "is -1; it must be 1 to 5, or 0 for the default of 5"),
    ]


def test_a_violation_in_a_batch_is_named_by_its_field() -> None:
    with pytest.raises(InvalidRequest) as raised:
        LIMITS.batch_options([SearchRequest(query="fine"), SearchRequest(query=" ", limit=6)])
    assert [field for field, _ in violations_of(raised.value)] == ["requests[1].query", "requests[1].limit"]


@pytest.mark.parametrize(
    ("facets", "violation"),
    [
        ([f"{number}" for number in range(9)], ("facets", "has 9 elements; at most 8 are allowed")),
        (["a", ""], ("facets[1]", "is empty; send the name of an attribute")),
        (["a", "x" * 257], ("facets[1]", "has 257 characters; at most 256 are allowed")),
        (["a", "b", "a"], ("facets[2]", "names an attribute again: send each name once")),
    ],
)
def test_facets_are_bounded_and_named_once(facets: list[str], violation: tuple[str, str]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        LIMITS.search_options(SearchRequest(query="x", facets=facets))
    assert violations_of(raised.value) == [violation]


def test_an_unknown_unit_of_highlights_is_rejected() -> None:
    with pytest.raises(InvalidRequest, match="highlight: is 9, which is not a TextUnit"):
        LIMITS.search_options(SearchRequest(query="x", highlight=9))  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 3])
def test_the_size_of_a_batch_is_bounded(count: int) -> None:
    with pytest.raises(InvalidRequest, match=f"requests: has {count} elements; it must have 1 to 2"):
        LIMITS.batch_options([SearchRequest(query="x")] * count)


def test_the_options_of_a_search_are_read() -> None:
    request = SearchRequest(
        query="x",
        limit=3,
        mode=ModeMessage.MODE_HYBRID,
        min_score=0.0,
        fusion=FusionMessage.FUSION_RECIPROCAL_RANK,
        facets=["category", "tags"],
    )
    expected = SearchOptions(3, Mode.HYBRID, min_score=0.0, fusion=Fusion.RECIPROCAL_RANK, facets=("category", "tags"))
    assert LIMITS.search_options(request) == expected
    assert LIMITS.batch_options([SearchRequest(query="x"), request]) == [SearchOptions(limit=5), expected]


def test_every_mode_and_fusion_is_known() -> None:
    assert MODE_OF.keys() == set(ModeMessage.values())
    assert FUSION_OF.keys() == set(FusionMessage.values())
    assert set(MODE_OF.values()) == set(Mode)
    assert set(FUSION_OF.values()) == set(Fusion)


@pytest.mark.parametrize("min_score", [float("nan"), float("inf"), float("-inf")])
def test_invalid_options_are_named_also_in_a_batch(min_score: float) -> None:
    wrong = SearchRequest(query="x", mode=9, fusion=-1, min_score=min_score)  # type: ignore[arg-type]
    fields = ["mode", "fusion", "min_score"]
    with pytest.raises(InvalidRequest) as raised:
        LIMITS.search_options(wrong)
    assert [field for field, _ in violations_of(raised.value)] == fields
    with pytest.raises(InvalidRequest) as raised:
        LIMITS.batch_options([SearchRequest(query="x"), wrong])
    assert [field for field, _ in violations_of(raised.value)] == [f"requests[1].{field}" for field in fields]


def test_a_filter_is_read_and_its_violations_are_named_also_in_a_batch() -> None:
    good, wrong = SearchRequest(query="x"), SearchRequest(query="x")
    good.filter.exists.attribute = "a"
    wrong.filter.exists.SetInParent()
    assert LIMITS.search_options(good).filter == Exists("a")
    with pytest.raises(InvalidRequest) as raised:
        LIMITS.batch_options([good, wrong])
    assert [field for field, _ in violations_of(raised.value)] == ["requests[1].filter.exists.attribute"]


@pytest.mark.parametrize(("asked", "size"), [(0, 50), (1, 1), (50, 50)])
def test_a_page_size_has_a_default(asked: int, size: int) -> None:
    assert LIMITS.page_size(asked) == size


@pytest.mark.parametrize("asked", [-1, 51])
def test_the_page_size_is_bounded(asked: int) -> None:
    with pytest.raises(InvalidRequest, match=f"page_size: is {asked}; it must be 1 to 50, or 0 for the default of 50"):
        LIMITS.page_size(asked)


def test_texts_to_encode_are_checked_one_by_one() -> None:
    with pytest.raises(InvalidRequest) as raised:
        LIMITS.check_encode(EncodeRequest(texts=["x" * 21, ""], text_kind=7))  # type: ignore[arg-type]
    assert [field for field, _ in violations_of(raised.value)] == ["texts[0]", "texts[1]", "text_kind"]
    with pytest.raises(InvalidRequest, match="texts: has 0 elements"):
        LIMITS.check_encode(EncodeRequest())


def test_the_default_limit_never_exceeds_the_maximum() -> None:
    assert LIMITS.default_limit == 5
    assert Limits.of(Settings(bundle=Path(), catalogue=Path())).default_limit == 10


def test_the_protocol_reports_every_limit() -> None:
    reported = {field.name for field in LimitsMessage.DESCRIPTOR.fields}
    assert reported == set(Limits.__dataclass_fields__) | {"max_query_tokens", "max_facets", "max_facet_values"}
