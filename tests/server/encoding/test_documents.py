from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from server.catalogue.document import Document
from server.encoding.documents import CHUNK_TEXTS, encode_documents
from server.encoding.passages import passages_of
from server.errors import BundleError
from tests.server.making import WatchedBundle


def test_each_document_gets_the_vectors_of_its_passages(watched: WatchedBundle) -> None:
    documents = [
        Document(id=str(number), title=f"title {number}", text="long " * number, examples=["환율"] * (number % 3))
        for number in range(1, 60)
    ]
    assert encode_documents([], watched) == []
    with ThreadPoolExecutor(3) as pool:
        encoded = encode_documents(documents, watched, map=pool.map)
    assert max(len(batch) for batch in watched.batches) == CHUNK_TEXTS
    for document, vectors in zip(documents, encoded, strict=True):
        passages = passages_of(document, watched)
        np.testing.assert_array_equal(vectors.spans, passages.spans)
        np.testing.assert_array_equal(vectors.matrix, watched.encode_texts(passages.texts))


def test_an_error_names_the_texts_that_break_the_model(watched: WatchedBundle) -> None:
    watched.fails_on["독약"] = RuntimeError("the model broke")
    with pytest.raises(BundleError, match=r"fails on the texts '환율' … '독약'.*the model broke"):
        encode_documents([Document(id="a", title="환율"), Document(id="b", title="독약")], watched)


def test_the_caller_can_stop_between_chunks(watched: WatchedBundle) -> None:
    def check() -> None:
        if watched.batches:
            raise InterruptedError

    documents = [Document(id=str(number), title=f"title {number}") for number in range(2 * CHUNK_TEXTS)]
    with pytest.raises(InterruptedError):
        encode_documents(documents, watched, check=check)
    assert len(watched.batches) == 1
