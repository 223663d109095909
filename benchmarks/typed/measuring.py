"""Searches queries on a running server, and counts how many find their document."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from typing import NamedTuple

from google.protobuf.field_mask_pb2 import FieldMask

import chaja
from benchmarks.typed.queries import TypedQuery
from chaja.v1 import Mode, SearchRequest
from server.errors import StartError

DEPTHS = (1, 5)
MODES = {"HYBRID": Mode.MODE_HYBRID, "DENSE": Mode.MODE_DENSE}
TIMEOUT_SECONDS = 600.0
AT_ONCE = 256
"""Queries of one stream: a server on a busy machine refuses more."""


class Answer(NamedTuple):
    """The ids of the documents that a query found, best first, and whether another text was searched."""

    documents: Sequence[str]
    interpreted: bool = False


Found = Mapping[str, Mapping[str, Answer]]
"""Answers by mode and query."""


class Row(NamedTuple):
    """The recall of one kind of queries in one mode.

    Attributes:
        half: `chooses` or `judges`.
        queries: Number of queries.
        ambiguous: Number of those whose typed form has more answers than the meant text.
        recall: R@k by k.
        meant_recall: R@1 of the meant texts.
    """

    kind: str
    half: str
    mode: str
    queries: int
    ambiguous: int
    recall: Mapping[int, float]
    meant_recall: float


def search_all(
    address: str, texts: Iterable[str], *, modes: Iterable[str] = tuple(MODES), interpret: bool = True
) -> Found:
    """Searches each text once in each mode.

    Args:
        address: The server's.
        texts: The queries.
        modes: Names of the modes.
        interpret: Whether the server may search what the user meant.

    Raises:
        StartError: The server rejects a query.
    """
    distinct = list(dict.fromkeys(texts))
    with chaja.connect(address) as client:
        return {name: dict(_stream(client, distinct, mode=MODES[name], interpret=interpret)) for name in modes}


def _stream(
    client: chaja.Client, texts: Sequence[str], *, mode: Mode.ValueType, interpret: bool
) -> Iterator[tuple[str, Answer]]:
    asked = SearchRequest(limit=max(DEPTHS), mode=mode, read_mask=FieldMask(paths=["document_id"]), interpret=interpret)
    for first in range(0, len(texts), AT_ONCE):
        some = texts[first : first + AT_ONCE]
        answers = client.search.SearchStream(map(partial(_request, asked), some), timeout=TIMEOUT_SECONDS)
        for text, answer in zip(some, answers, strict=True):
            if answer.HasField("error"):
                raise StartError(f"the server rejects the query {text!r}: {answer.error.message}")
            found = [hit.document_id for hit in answer.response.hits]
            yield text, Answer(found, bool(answer.response.interpreted_query))


def _request(asked: SearchRequest, query: str) -> SearchRequest:
    request = SearchRequest(query=query)
    request.MergeFrom(asked)
    return request


def typed_rows(queries: Sequence[TypedQuery], found: Found) -> list[Row]:
    """Returns the recall of each kind and half in each mode, kinds in the order of the queries."""
    rows = []
    for kind in dict.fromkeys(each.kind for each in queries):
        for half in ("chooses", "judges"):
            chosen = [each for each in queries if each.kind == kind and each.judges is (half == "judges")]
            for mode, answers in found.items() if chosen else ():
                recall = recall_of([(answers[each.text], each.relevant) for each in chosen])
                meant = recall_of([(answers[each.meant], each.relevant) for each in chosen])
                ambiguous = sum(each.is_ambiguous for each in chosen)
                rows.append(Row(kind, half, mode, len(chosen), ambiguous, recall, meant[1]))
    return rows


def recall_of(answers: Sequence[tuple[Answer, Set[str]]]) -> dict[int, float]:
    """Returns R@k by k of pairs of an answer and the relevant documents: the share with one of them in the first k."""
    return {
        depth: statistics.mean(not relevant.isdisjoint(answer.documents[:depth]) for answer, relevant in answers)
        for depth in DEPTHS
    }
