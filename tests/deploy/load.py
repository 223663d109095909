"""A small load with every kind of call, for a server that is watched."""

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import grpc

import chaja
from chaja.v1 import (
    AttributeValue,
    BatchSearchRequest,
    Document,
    EncodeRequest,
    Equals,
    Filter,
    ListDocumentsRequest,
    LocalizedText,
    SearchRequest,
    Upsert,
    UpsertDocumentsRequest,
)
from tests.conftest import SAMPLE_QUERIES

QUERIES = [json.loads(line)["query"] for line in SAMPLE_QUERIES.read_text(encoding="utf-8").splitlines()]
NO_MATCH = Filter(equals=Equals(attribute="no such attribute", value=AttributeValue(string_value="x")))
PAUSE_SECONDS = 0.1


@contextlib.contextmanager
def load(address: str, *, credentials: grpc.ChannelCredentials | None = None) -> Iterator[None]:
    """Sends a round of calls every tenth of a second, until the end. The first round is done before it yields."""
    stopped = threading.Event()
    with chaja.connect(address, credentials=credentials) as client:
        send_round(client, 0)
        thread = threading.Thread(target=_send_rounds, args=(client, stopped))
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            client.close()  # Ends a call to a server that has gone.
            thread.join()


def _send_rounds(client: chaja.Client, stopped: threading.Event) -> None:
    number = 0
    with contextlib.suppress(grpc.RpcError, ValueError):  # ValueError: the channel is closed.
        while not stopped.wait(PAUSE_SECONDS):
            number += 1
            send_round(client, number)


def send_round(client: chaja.Client, number: int) -> None:
    """Searches, alone, in a batch and in a stream; encodes, writes, lists, and makes two errors of callers."""
    queries = [QUERIES[(7 * number + each) % len(QUERIES)] for each in range(4)]
    requests = [SearchRequest(query=query, limit=3) for query in queries]
    for request in (requests[0], requests[0], requests[1], SearchRequest(query=queries[0], filter=NO_MATCH)):
        client.search.Search(request, timeout=30)
    client.search.BatchSearch(BatchSearchRequest(requests=requests), timeout=30)
    list(client.search.SearchStream(iter([*requests, SearchRequest(query="")]), timeout=30))
    client.encode.Encode(EncodeRequest(texts=[f"{number} {queries[2]}"]), timeout=30)
    document = Document(id=f"written {number % 5}", titles=[LocalizedText(text=f"{number} {queries[3]}")])
    client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[Upsert(document=document)]), timeout=30)
    client.catalog.ListDocuments(ListDocumentsRequest(page_size=2), timeout=30)
    with contextlib.suppress(grpc.RpcError):
        client.search.Search(SearchRequest(query=""), timeout=30)
    unknown: Any = client.channel.unary_unary("/chaja.v1.SearchService/Unknown")
    with contextlib.suppress(grpc.RpcError):
        unknown(b"", timeout=30)
