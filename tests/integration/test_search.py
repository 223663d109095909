import asyncio
import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest

import chaja
from chaja.v1 import (
    AttributeValue,
    BatchSearchRequest,
    EncodeRequest,
    Equals,
    Field,
    Filter,
    GetServerInfoRequest,
    IndexKind,
    Mode,
    SearchRequest,
    Similarity,
    TextKind,
)
from sample.server_process import ServerProcess
from server.catalogue.catalogue import load_catalogue
from server.encoding.bundle import Bundle
from server.encoding.passages import passages_of
from server.stages import STAGES
from tests.conftest import SAMPLE_CATALOGUE, SAMPLE_QUERIES

DOCUMENTS = [json.loads(line) for line in SAMPLE_CATALOGUE.read_text(encoding="utf-8").splitlines()]
QUERIES = [json.loads(line)["query"] for line in SAMPLE_QUERIES.read_text(encoding="utf-8").splitlines()]
F16 = 1e-3
"""Precision of scores of vectors in f16."""


@pytest.mark.parametrize("part", ["title", "text", "example"])
def test_a_document_is_found_by_each_of_its_parts(tiny_server: ServerProcess, part: str) -> None:
    document = DOCUMENTS[17]
    text = {"title": document["title"]["ko"], "text": document["text"]["ko"], "example": document["examples"][1]}[part]
    with chaja.connect(tiny_server.address) as client:
        # The small model sees 64 characters.
        text = text if len(text.replace(" ", "")) <= 64 else document["text"]["ko"][:60]
        hit = client.search.Search(SearchRequest(query=text)).hits[0]
    assert hit.document_id == document["id"]
    expected = {"title": Field.FIELD_TITLE, "text": Field.FIELD_TEXT, "example": Field.FIELD_EXAMPLE}[part]
    assert hit.match.field == expected
    assert hit.match.language_code == ("" if part == "example" else "ko")
    assert hit.match.example == (text if part == "example" else "")


def test_a_hit_carries_title_attributes_and_score(tiny_server: ServerProcess) -> None:
    document = next(each for each in DOCUMENTS if "minimum_age" in each["attributes"])
    with chaja.connect(tiny_server.address) as client:
        request = SearchRequest(query=document["title"]["en"], language_code="en")
        hit = client.search.Search(request).hits[0]
        assert hit.title == document["title"]["en"]
        assert hit.score == pytest.approx(1.0, abs=F16)
        assert dict(hit.attributes.items()) == document["attributes"]
        for code in ("EN", "en-US", "en_GB"):
            request.language_code = code
            assert client.search.Search(request).hits[0].title == document["title"]["en"], code
        request.language_code = "ko-KR"
        assert client.search.Search(request).hits[0].title == document["title"]["ko"]
        request.language_code = "fr"
        assert client.search.Search(request).hits[0].title == document["title"]["ko"]


def test_a_misspelt_attribute_in_a_filter_is_warned_of(tiny_server: ServerProcess) -> None:
    def requests(attribute: str) -> list[SearchRequest]:
        filter = Filter(equals=Equals(attribute=attribute, value=AttributeValue(string_value="card")))
        return [SearchRequest(query="카드 찾기", filter=filter, mode=mode) for mode in Mode.values()]

    with chaja.connect(tiny_server.address) as client:
        for attribute, warnings in (
            ("catgeory", ["filter.equals: no document has the attribute 'catgeory'; perhaps 'category' is meant"]),
            ("category", []),
        ):
            responses = [client.search.Search(request) for request in requests(attribute)]
            responses += client.search.BatchSearch(BatchSearchRequest(requests=requests(attribute))).responses
            responses += [each.response for each in client.search.SearchStream(iter(requests(attribute)))]
            assert len(responses) == 3 * len(Mode.values())
            for response in responses:
                assert list(response.warnings) == warnings
                assert bool(response.hits) != bool(warnings)


def test_a_query_is_normalised_before_it_is_encoded(tiny_server: ServerProcess) -> None:
    title = DOCUMENTS[60]["title"]["ko"]
    as_typed = unicodedata.normalize("NFD", f"\u3000{title.replace(' ', '  ')}\n")
    with chaja.connect(tiny_server.address) as client:
        batch = BatchSearchRequest(requests=[SearchRequest(query=as_typed), SearchRequest(query=title)])
        first, second = client.search.BatchSearch(batch).responses
        third = client.search.Search(SearchRequest(query=as_typed))
    assert first.hits == second.hits == third.hits
    assert not third.timings.HasField("encode"), "the vector of the normalised query is in the cache"


def test_the_timings_name_all_five_stages(tiny_server: ServerProcess) -> None:
    with chaja.connect(tiny_server.address) as client:
        query = "only this test asks this, so no cache has its vector"
        timings = client.search.Search(SearchRequest(query=query)).timings
    for stage in STAGES:
        assert getattr(timings, stage).ToNanoseconds() > 0, stage
    assert timings.batch_texts >= 1


def test_encoded_vectors_are_packed_floats_that_give_the_score_of_a_search(tiny_server: ServerProcess) -> None:
    document = DOCUMENTS[3]
    texts = [document["title"]["ko"], "x" * 70]
    with chaja.connect(tiny_server.address) as client:
        request = EncodeRequest(texts=texts, text_kind=TextKind.TEXT_KIND_DOCUMENT, truncate=True)
        response = client.encode.Encode(request)
        query = client.encode.Encode(EncodeRequest(texts=[f"{texts[0]} 요"]))
        hit = client.search.Search(SearchRequest(query=f"{texts[0]} 요")).hits[0]
    vectors = np.frombuffer(response.vectors, "<f4").reshape(-1, response.dimension)
    assert vectors.shape == (2, 32)
    assert list(response.token_counts) == [len(texts[0].replace(" ", "")), 70]
    assert not response.timings.HasField("search")
    assert (hit.document_id, hit.match.field) == (document["id"], Field.FIELD_TITLE)
    assert hit.score == pytest.approx(float(np.frombuffer(query.vectors, "<f4") @ vectors[0]), abs=F16)


def test_the_info_reports_model_catalogue_and_limits(tiny_server: ServerProcess, tiny_bundle: Path) -> None:
    with chaja.connect(tiny_server.address) as client:
        info = client.info.GetServerInfo(GetServerInfoRequest())
        revision = client.search.Search(SearchRequest(query="a")).model_revision
    assert info.server_version == chaja.__version__
    assert (info.model.name, info.model.dimension, info.model.max_tokens) == ("tiny", 32, 64)
    assert info.model.similarity == Similarity.SIMILARITY_COSINE
    assert info.model.revision == revision
    bundle = Bundle(tiny_bundle)
    passages = sum(len(passages_of(document, bundle).texts) for document in load_catalogue(SAMPLE_CATALOGUE))
    assert (info.catalogue.document_count, info.catalogue.vector_count) == (len(DOCUMENTS), passages)
    assert info.catalogue.index_kind == IndexKind.INDEX_KIND_EXACT
    assert info.catalogue.model_revision == revision
    limits = {field.name: getattr(info.limits, field.name) for field in info.limits.DESCRIPTOR.fields}
    assert limits == {
        "max_query_characters": 1000,
        "max_query_tokens": 64,
        "max_limit": 100,
        "max_batch_queries": 100,
        "max_encode_texts": 256,
        "max_text_characters": 20000,
        "max_message_bytes": 4194304,
        "max_write_documents": 1000,
        "max_document_characters": 1000000,
        "max_page_size": 1000,
        "max_response_bytes": 4194304,
        "max_facets": 8,
        "max_facet_values": 50,
        "max_paged_hits": 1000,
    }


async def test_every_call_of_many_clients_is_answered(tiny_server: ServerProcess) -> None:
    async with chaja.connect_async(tiny_server.address) as client:
        request = SearchRequest(query="송금", limit=1)
        responses = await asyncio.gather(*(client.search.Search(request, timeout=120) for _ in range(4000)))
    assert {len(response.hits) for response in responses} == {1}
