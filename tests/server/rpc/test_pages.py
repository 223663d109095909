import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaja.v1 import Exists, Filter, ListRulesRequest, ListSynonymsRequest, SynonymRule
from server.errors import InvalidRequest
from server.rpc.pages import fitting, id_before, page_token

RULE = SynonymRule(phrases=["a" * 1000])
FILTERS = [Filter(), Filter(exists=Exists(attribute="a")), Filter(exists=Exists(attribute="b"))]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(FILTERS))
def test_a_token_holds_the_id_before_its_page(id: str, filter: Filter) -> None:
    token = page_token(id, filter)
    assert id_before(token, filter) == id
    assert token.isascii()


def test_a_token_is_for_one_filter_and_one_list() -> None:
    for its, other in ((FILTERS[1], FILTERS[2]), (ListRulesRequest(), ListSynonymsRequest())):
        with pytest.raises(InvalidRequest, match="page_token: belongs to another list or filter"):
            id_before(page_token("a", its), other)


@given(st.text(min_size=1))
def test_any_text_is_accepted_or_rejected_with_a_message(token: str) -> None:
    with contextlib.suppress(InvalidRequest):
        assert id_before(token, FILTERS[0])


@pytest.mark.parametrize(("max_response_bytes", "count"), [(2100, 1), (4096, 2), (16384, 14), (10**6, 20), (10**9, 20)])
def test_a_page_has_what_fits_and_at_least_one_element(max_response_bytes: int, count: int) -> None:
    page = fitting([RULE] * 20, max_response_bytes=max_response_bytes)
    assert page == [RULE] * count


def test_a_page_of_nothing_is_empty() -> None:
    assert fitting([], max_response_bytes=16384) == []
