import pytest

from chaja.v1 import BatchSearchResponse, Hit, SearchResponse
from server.rpc.wire import embedded, single


@pytest.mark.parametrize("length", [0, 1, 100, 120, 127, 128, 129, 16_000, 16_384, 2_097_152, 5_000_000])
def test_messages_are_put_into_others_without_parsing_them(length: int) -> None:
    hits = [Hit(document_id="x" * length), Hit(document_id="second")]
    expected = SearchResponse(hits=hits, sequence=7)
    parts = [embedded(SearchResponse.HITS_FIELD_NUMBER, hit.SerializeToString()) for hit in hits]
    response = b"".join(parts) + SearchResponse(sequence=7).SerializeToString()
    assert SearchResponse.FromString(response) == expected
    batch = embedded(BatchSearchResponse.RESPONSES_FIELD_NUMBER, response) * 2
    assert BatchSearchResponse.FromString(batch) == BatchSearchResponse(responses=[expected, expected])


def test_scores_are_put_into_a_hit() -> None:
    hit = Hit(document_id="a").SerializeToString() + single(Hit.SCORE_FIELD_NUMBER, 0.1)
    assert Hit.FromString(hit + single(Hit.DENSE_SCORE_FIELD_NUMBER, 0.0)) == Hit(
        document_id="a", score=0.1, dense_score=0.0
    )
