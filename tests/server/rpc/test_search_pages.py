"""Page tokens of searches: what they hold, and which are refused."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaja.v1 import AttributeValue, Equals, Filter, SearchRequest
from server.errors import InvalidRequest
from server.ranking.options import CANDIDATES, Fusion, Mode, SearchOptions
from server.ranking.position import BURIED, Position
from server.readings.reading import Kind, Reading
from server.rpc.search_pages import CONTENT, MOST_READ_BYTES, VERSION, Page, SearchPages

MAX_HITS = 1000
OPTIONS = SearchOptions(10)
END = Position(rank=10, window=CANDIDATES, score=0.5, sequence=7)
PAGE = Page(END, None)
CARDS = Filter(equals=Equals(attribute="category", value=AttributeValue(string_value="card")))

FORGED_READINGS = [b"\0a", b"\x7fa", b"\1", b"\1\xff", b"\1 ", b"\1a  b", b"\1" + b"a" * MOST_READ_BYTES]


def pages_of(
    query: str = "카드",
    options: SearchOptions = OPTIONS,
    revision: str = "r",
    *,
    filter: Filter | None = None,
    interpret: bool | None = None,
    ignore_rules: bool = False,
) -> SearchPages:
    request = SearchRequest(filter=filter, interpret=interpret, ignore_rules=ignore_rules)
    return SearchPages.of(request, query=query, options=options, revision=revision)


def page(token: str, pages: SearchPages | None = None) -> Page:
    return (pages or pages_of()).page(token, field="page_token", max_hits=MAX_HITS)


def forged(*content: object, reading: bytes = b"") -> str:
    packed = CONTENT.pack(*content) + reading
    return base64.urlsafe_b64encode(packed + zlib.crc32(packed).to_bytes(4, "big")).decode()


positions = st.builds(
    Position,
    rank=st.integers(1, MAX_HITS - 1),
    window=st.integers(CANDIDATES, MAX_HITS),
    score=st.floats(width=32, allow_nan=False, allow_infinity=False),
    sequence=st.integers(-(2**63), 2**63 - 1),
    tier=st.integers(0, BURIED),
    seconds=st.integers(0, 2**32 - 1),
)


@given(positions)
def test_a_token_holds_a_position(end: Position) -> None:
    after = Page(end, None)
    token = pages_of().token(after)
    assert page(token) == after
    assert token.replace("-", "").replace("_", "").isalnum(), "it needs no escaping in an address"


@pytest.mark.parametrize(
    "other",
    [
        pages_of(query="대출"),
        pages_of(options=SearchOptions(10, Mode.HYBRID)),
        pages_of(options=SearchOptions(10, fusion=Fusion.RECIPROCAL_RANK)),
        pages_of(options=SearchOptions(10, min_score=0.0)),
        pages_of(filter=CARDS),
        pages_of(interpret=False),
        pages_of(ignore_rules=True),
    ],
)
def test_a_token_of_another_request_is_refused(other: SearchPages) -> None:
    with pytest.raises(
        InvalidRequest, match="page_token: belongs to another query, mode, filter, min_score, fusion, interp"
    ):
        page(other.token(PAGE))


@pytest.mark.parametrize("kind", list(Kind))
def test_a_token_holds_the_reading_of_its_query(kind: Kind) -> None:
    after = Page(END, Reading("카드 분실", kind))
    assert page(pages_of().token(after)) == after


def test_an_unset_interpret_is_true() -> None:
    assert page(pages_of(interpret=True).token(PAGE)) == PAGE


def test_other_limits_and_facets_may_differ() -> None:
    assert page(pages_of(options=SearchOptions(3, facets=("category",))).token(PAGE)) == PAGE


def test_a_token_of_another_model_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="page_token: belongs to another model, since the server has changed its"):
        page(pages_of(revision="another").token(PAGE))


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "카드",
        "Zm9v",
        pages_of().token(PAGE)[:-3],
        pages_of().token(PAGE) + "A",
        pages_of().token(PAGE).swapcase(),
        pages_of().token(Page(END._replace(rank=0), None)),
        pages_of().token(Page(END._replace(rank=MAX_HITS), None)),
        pages_of().token(Page(END._replace(rank=2**32 - 1), None)),
        pages_of().token(Page(END._replace(window=CANDIDATES - 1), None)),
        pages_of().token(Page(END._replace(window=MAX_HITS + 1), None)),
        pages_of().token(Page(END._replace(score=float("nan")), None)),
        pages_of().token(Page(END._replace(score=float("-inf")), None)),
        pages_of().token(Page(END._replace(tier=BURIED + 1), None)),
        forged(VERSION + 1, *pages_of(), *END),
        *(forged(VERSION, *pages_of(), *END, reading=reading) for reading in FORGED_READINGS),
    ],
)
def test_a_damaged_or_forged_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequest, match="page_token: is not a token of this service: start with the first page"):
        page(token)


@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda each: base64.urlsafe_b64encode(each).decode()))
def test_no_text_breaks_the_reading_of_tokens(token: str) -> None:
    with pytest.raises(InvalidRequest):
        page(token)
