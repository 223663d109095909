"""Checks the documents of a store after a start, and that searches find them."""

import random
from collections.abc import Mapping

import chaja
from chaja.v1 import BatchSearchRequest, Document, ListDocumentsRequest, Mode, SearchRequest

QUERIES = 100


def listed(client: chaja.Client) -> dict[str, Document]:
    """Returns all documents."""
    documents: dict[str, Document] = {}
    token = ""
    while True:
        page = client.catalog.ListDocuments(ListDocumentsRequest(page_size=1000, page_token=token))
        for document in page.documents:
            assert document.id not in documents, f"{document.id} is listed twice"
            documents[document.id] = document
        if not (token := page.next_page_token):
            return documents


def check_searches(client: chaja.Client, documents: Mapping[str, Document], rng: random.Random) -> int:
    """Checks that searches find every document and nothing else; returns the sequence that they see.

    Each search uses a title or an example, by meaning or by words.
    """
    if not documents:
        response = client.search.Search(SearchRequest(query="nothing is there"))
        assert not response.hits
        return response.sequence
    requests = [
        SearchRequest(
            query=rng.choice([document.titles[0].text, *document.examples]),
            limit=2,
            mode=rng.choice((Mode.MODE_DENSE, Mode.MODE_LEXICAL)),
        )
        for document in documents.values()
    ]
    sequence = 0
    for start in range(0, len(requests), QUERIES):
        batch = BatchSearchRequest(requests=requests[start : start + QUERIES])
        responses = client.search.BatchSearch(batch).responses
        for wanted, request, response in zip(list(documents)[start:], batch.requests, responses, strict=False):
            for hit in response.hits:
                document = documents.get(hit.document_id, Document())
                assert hit.version == document.version, f"{hit.document_id} is not found as stored: {hit} {document}"
                assert hit.title == document.titles[0].text
            found = [hit.document_id for hit in response.hits]
            assert found[:1] == [wanted], f"{wanted} is stored but not found: {request} {found}"
            sequence = response.sequence
    return sequence
