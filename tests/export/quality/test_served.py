from pathlib import Path

import pytest

from export.quality.served import BATCH_QUERIES, ServedDocuments, encode_passages, encode_queries
from server.catalogue.document import Document
from server.encoding.bundle import Bundle
from server.ranking.options import Mode, SearchOptions
from server.ranking.probes import encode_probes


@pytest.mark.parametrize("mode", Mode)
def test_all_queries_at_once_find_the_same_as_one_by_one(tiny_bundle: Path, tmp_path: Path, mode: Mode) -> None:
    bundle = Bundle(tiny_bundle)
    documents = [Document(id=str(number), title=f"title {number}", examples=[f"{number} x"]) for number in range(40)]
    served = ServedDocuments(
        bundle, documents, encode_passages(bundle, documents), probes=encode_probes(bundle), folder=tmp_path
    )
    queries = [f"title x {number}" for number in range(BATCH_QUERIES + 3)]
    vectors, options = encode_queries(bundle, queries), SearchOptions(20, mode)
    together = served.search_all(queries, None if mode is Mode.LEXICAL else vectors, options)
    assert together == [served.search(query, vector, options) for query, vector in zip(queries, vectors, strict=True)]
