from collections.abc import Iterator

import pytest

from chaja.v1 import Exists, Filter, SearchRequest
from server.batching.pipeline import INTERACTIVE_TEXTS
from server.rpc.background import request_bytes
from server.rpc.search_requests import LONG_FILTERING, takes_long

PLAIN = SearchRequest(query="카드")
FILTERED = SearchRequest(query="카드", filter=Filter(exists=Exists(attribute="a")))


@pytest.fixture(autouse=True)
def _message_bytes() -> Iterator[None]:
    token = request_bytes.set(1000)
    yield
    request_bytes.reset(token)


def test_only_many_requests_or_filters_of_many_documents_take_long() -> None:
    few, many = LONG_FILTERING // 1000, LONG_FILTERING // 1000 + 1
    assert not takes_long([FILTERED], documents=few)
    assert takes_long([FILTERED], documents=many)
    assert not takes_long([PLAIN], documents=many)
    assert takes_long([PLAIN, FILTERED], documents=many)
    assert not takes_long([PLAIN] * INTERACTIVE_TEXTS, documents=1)
    assert takes_long([PLAIN] * (INTERACTIVE_TEXTS + 1), documents=1)
