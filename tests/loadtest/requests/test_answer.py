import math
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from chaja.v1 import BatchSearchResponse, EncodeResponse, GetServerInfoResponse, Hit, SearchResponse, Timings
from loadtest.requests.answer import AnswerReader
from loadtest.requests.method import find_method
from loadtest.stages import NO_STAGES, STAGES
from loadtest.target import Target


def duration(milliseconds: int) -> Duration:
    return Duration(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)


def timings(*milliseconds: int, batch_texts: int = 1) -> Timings:
    stages: dict[str, Any] = {name: duration(each) for name, each in zip(STAGES, milliseconds, strict=True)}
    return Timings(**stages, batch_texts=batch_texts)


def search(*documents: str, times: Timings | None = None) -> SearchResponse:
    return SearchResponse(hits=[Hit(document_id=each, score=0.5) for each in documents], timings=times)


@pytest.mark.parametrize(
    ("response", "has_stages", "has_documents"),
    [
        (SearchResponse, True, True),
        (BatchSearchResponse, True, True),
        (EncodeResponse, True, False),
        (GetServerInfoResponse, False, False),
    ],
)
def test_answers_of_chaja_have_stages_and_hits(response: Any, has_stages: bool, has_documents: bool) -> None:
    reader = AnswerReader(response)
    assert (reader.has_stages, reader.has_documents) == (has_stages, has_documents)


async def test_fields_of_another_type_are_ignored(protos: Path) -> None:
    method = await find_method("FindMany", target=Target(address="x:1"), proto=protos / "shop.proto")
    reader = AnswerReader(method.response_class)
    assert not reader.has_stages  # Its timings are plain numbers.
    assert not reader.has_documents  # Its hits have no document_id.
    answer = method.response_class()
    assert reader.digest([answer]) == reader.digest([method.response_class()])


def test_stages_are_in_seconds() -> None:
    reader = AnswerReader(SearchResponse)
    seconds, texts = reader.stages([search(times=timings(1, 2, 1003, 4, 0, batch_texts=9))])
    assert seconds == pytest.approx((0.001, 0.002, 1.003, 0.004, 0.0))
    assert texts == 9


def test_the_stages_of_a_batch_are_those_of_its_slowest_part() -> None:
    reader = AnswerReader(BatchSearchResponse)
    slow, fast = timings(1, 1, 9, 1, 1, batch_texts=3), timings(2, 2, 2, 2, 2, batch_texts=4)
    answer = BatchSearchResponse(responses=[search(times=fast), search(times=slow), search()])
    seconds, texts = reader.stages([answer])
    assert seconds == pytest.approx((0.001, 0.001, 0.009, 0.001, 0.001))
    assert texts == 3


def test_missing_stages_are_nan() -> None:
    assert AnswerReader(SearchResponse).stages([search("a")]) == (NO_STAGES, 0)
    assert AnswerReader(BatchSearchResponse).stages([BatchSearchResponse()]) == (NO_STAGES, 0)
    assert all(math.isnan(seconds) for seconds in NO_STAGES)


def test_documents_are_listed_for_each_part() -> None:
    assert AnswerReader(SearchResponse).documents([search("b", "a")]) == [["b", "a"]]
    batch = BatchSearchResponse(responses=[search("a"), search(), search("c", "b")])
    assert AnswerReader(BatchSearchResponse).documents([batch]) == [["a"], [], ["c", "b"]]


@given(st.lists(st.text("ab", max_size=3), max_size=4), st.lists(st.text("ab", max_size=3), max_size=4))
def test_answers_are_the_same_if_they_differ_only_in_timings(one: list[str], other: list[str]) -> None:
    reader = AnswerReader(SearchResponse)
    first = reader.digest([search(*one, times=timings(1, 2, 3, 4, 5))])
    second = reader.digest([search(*other, times=timings(5, 4, 3, 2, 1))])
    assert (first == second) == (one == other)
    assert len(first) == 8


@pytest.mark.parametrize("times", [None, timings(1, 2, 3, 4, 5)])
def test_the_ids_of_searches_do_not_matter(times: Timings | None) -> None:
    reader = AnswerReader(SearchResponse)
    answers = [search("a", times=times) for _ in "ab"]
    for answer, search_id in zip(answers, "ab", strict=True):
        answer.search_id = search_id
    one, other = (reader.digest([answer]) for answer in answers)
    assert one == other
    batches = BatchSearchResponse(responses=[search("a")]), BatchSearchResponse(responses=[search("a")])
    batches[0].responses[0].search_id = "a"
    assert len({AnswerReader(BatchSearchResponse).digest([each]) for each in batches}) == 1


def test_timings_in_a_batch_do_not_matter_but_scores_do() -> None:
    reader = AnswerReader(BatchSearchResponse)
    one, other, different = (
        reader.digest([BatchSearchResponse(responses=[search("a", times=times), search(last)])])
        for times, last in ((timings(1, 1, 1, 1, 1), "b"), (None, "b"), (None, "c"))
    )
    assert one == other != different
    scored = (SearchResponse(hits=[Hit(document_id="a", score=score)]) for score in (0.5, 0.500001))
    assert len({AnswerReader(SearchResponse).digest([each]) for each in scored}) == 2


def test_a_malformed_answer_cannot_be_parsed() -> None:
    with pytest.raises(DecodeError):
        AnswerReader(SearchResponse).parse(b"\xff\xff")


async def test_an_answer_without_a_required_field_cannot_be_parsed(protos: Path) -> None:
    method = await find_method("M", target=Target(address="x:1"), proto=protos / "required.proto")
    reader = AnswerReader(method.response_class)
    assert reader.digest([reader.parse(b"\x10\x01")])
    with pytest.raises(DecodeError, match="required"):
        reader.parse(b"")
