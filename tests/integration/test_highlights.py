"""Highlights of hits of a running server."""

import unicodedata

from google.protobuf.field_mask_pb2 import FieldMask

import chaja
from chaja.v1 import BatchSearchRequest, Highlights, Hit, Mode, SearchRequest, TextRange, TextUnit
from sample.server_process import ServerProcess

QUERY = "카드 분실 신고"


def shown(text: str, ranges: list[TextRange]) -> list[str]:
    return [text[each.start : each.end] for each in ranges]


def test_the_words_of_a_query_are_highlighted_in_title_and_passage(tiny_server: ServerProcess) -> None:
    asked = SearchRequest(query=unicodedata.normalize("NFD", QUERY), language_code="ko", limit=5)
    with chaja.connect(tiny_server.address) as client:
        for mode in Mode.values():
            asked.mode = mode
            asked.highlight = TextUnit.TEXT_UNIT_CODE_POINT
            hits = client.search.Search(asked).hits
            asked.highlight = TextUnit.TEXT_UNIT_UNSPECIFIED
            without = client.search.Search(asked).hits
            for hit, plain in zip(hits, without, strict=True):
                assert len(hit.highlights.passage) == hit.match.end - hit.match.start
                found = shown(hit.title, list(hit.highlights.title))
                found += shown(hit.highlights.passage, list(hit.highlights.passage_ranges))
                assert all(set(each) <= set(QUERY) for each in found)
                if mode in (Mode.MODE_LEXICAL, Mode.MODE_HYBRID) and plain.lexical_score > 1:
                    assert found, "a hit by words has words to show"
                hit.ClearField("highlights")
                assert hit == plain


def test_batches_and_streams_have_highlights_too(tiny_server: ServerProcess) -> None:
    request = SearchRequest(query=QUERY, limit=3, highlight=TextUnit.TEXT_UNIT_UTF16, mode=Mode.MODE_HYBRID)
    with chaja.connect(tiny_server.address) as client:
        hits = client.search.Search(request).hits
        (batched,) = client.search.BatchSearch(BatchSearchRequest(requests=[request])).responses
        (streamed,) = client.search.SearchStream(iter([request]))
    assert hits == batched.hits == streamed.response.hits
    assert all(hit.HasField("highlights") for hit in hits)


def test_a_read_mask_selects_highlights_like_every_field(tiny_server: ServerProcess) -> None:
    def hit(*paths: str) -> Hit:
        mask = FieldMask(paths=paths)
        unit = TextUnit.TEXT_UNIT_UTF8
        with chaja.connect(tiny_server.address) as client:
            request = SearchRequest(query=QUERY, limit=1, language_code="ko", highlight=unit, read_mask=mask)
            return client.search.Search(request).hits[0]

    whole = hit("*")
    assert whole.highlights.title
    assert not hit("title").HasField("highlights")
    assert hit("title", "highlights").highlights == whole.highlights
    alone = hit("highlights")
    assert not alone.title
    assert not alone.HasField("match")
    expected = Highlights()
    expected.CopyFrom(whole.highlights)
    expected.ClearField("title")
    assert alone.highlights == expected
