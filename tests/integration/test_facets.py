"""Facets of answers of a running server."""

import json
from collections import Counter
from itertools import product

import grpc
import pytest

import chaja
from chaja.v1 import AttributeValue, BatchSearchRequest, Equals, Facet, Filter, Mode, SearchRequest
from sample.server_process import ServerProcess
from tests.conftest import SAMPLE_CATALOGUE

DOCUMENTS = [json.loads(line) for line in SAMPLE_CATALOGUE.read_text(encoding="utf-8").splitlines()]
CARDS = Filter(equals=Equals(attribute="category", value=AttributeValue(string_value="card")))


def counts_of(facet: Facet) -> dict[str | float | bool, int]:
    return {getattr(each.value, each.value.WhichOneof("value") or ""): each.document_count for each in facet.values}


def test_facets_count_all_documents_that_match_the_filter(tiny_server: ServerProcess) -> None:
    cards = [each for each in DOCUMENTS if each["attributes"]["category"] == "card"]
    with chaja.connect(tiny_server.address) as client:
        for mode, (filter, documents) in product(Mode.values(), [(Filter(), DOCUMENTS), (CARDS, cards)]):
            facets = ["category", "minimum_age"]
            request = SearchRequest(query="카드", mode=mode, filter=filter, limit=1, facets=facets)
            category, age = client.search.Search(request).facets
            assert (category.attribute, age.attribute) == ("category", "minimum_age")
            assert counts_of(category) == Counter(each["attributes"]["category"] for each in documents)
            ages = [each["attributes"]["minimum_age"] for each in documents if "minimum_age" in each["attributes"]]
            assert counts_of(age) == Counter(ages)
            assert category.value_count == len(category.values)


def test_batches_and_streams_have_facets_too(tiny_server: ServerProcess) -> None:
    requests = [SearchRequest(query="카드", facets=["category"]), SearchRequest(query="카드")]
    with chaja.connect(tiny_server.address) as client:
        single = client.search.Search(requests[0]).facets
        batch = client.search.BatchSearch(BatchSearchRequest(requests=requests)).responses
        stream = [each.response for each in client.search.SearchStream(iter(requests))]
    for with_facets, without in (batch, stream):
        assert with_facets.facets == single
        assert not without.facets


def test_a_facet_of_an_unknown_attribute_is_empty_and_warned_of(tiny_server: ServerProcess) -> None:
    with chaja.connect(tiny_server.address) as client:
        response = client.search.Search(SearchRequest(query="카드", facets=["catgeory"]))
        assert response.facets == [Facet(attribute="catgeory")]
        assert list(response.warnings) == [
            "facets[0]: no document has the attribute 'catgeory'; perhaps 'category' is meant"
        ]
        with pytest.raises(grpc.RpcError, match="names an attribute again"):
            client.search.Search(SearchRequest(query="카드", facets=["category", "category"]))
