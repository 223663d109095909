import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaja.v1 import SearchRequest, SearchResponse, SearchStreamResponse
from server.errors import InvalidRequest, Overloaded, ResponseTooLarge, Violation
from server.rpc.stream import WINDOW_REQUESTS, StreamAnswer, answer_in_order
from tests.server.making import until


class Requests:
    """Yields requests as fast as they are read."""

    def __init__(self, count: int, *, error: Exception | None = None) -> None:
        self.count, self.error, self.read = count, error, 0

    async def __aiter__(self) -> AsyncIterator[SearchRequest]:
        for number in range(self.count):
            self.read += 1
            yield SearchRequest(query=str(number))
        if self.error:
            raise self.error


async def echo(request: SearchRequest) -> SearchResponse:
    return SearchResponse(model_revision=request.query)


async def itself(response: SearchResponse) -> bytes:
    return response.SerializeToString()


def messages(answers: list[StreamAnswer]) -> list[SearchStreamResponse]:
    """Returns the answers as clients see them; checks that their codes agree."""
    parsed = [SearchStreamResponse.FromString(answer.message) for answer in answers]
    assert [each.error.code for each in parsed] == [answer.code for answer in answers]
    assert [each.error.reason or None for each in parsed] == [answer.reason for answer in answers]
    return parsed


def revisions(answers: list[StreamAnswer]) -> list[str]:
    return [answer.response.model_revision for answer in messages(answers)]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 5), max_size=100))
def test_answers_come_in_the_order_of_the_requests(turns: list[int]) -> None:
    async def play() -> None:
        async def answer(request: SearchRequest) -> SearchResponse:
            for _ in range(turns[int(request.query)]):
                await asyncio.sleep(0)
            return await echo(request)

        answers = [each async for each in answer_in_order(aiter(Requests(len(turns))), answer, itself)]
        assert revisions(answers) == [str(number) for number in range(len(turns))]

    asyncio.run(play())


async def test_requests_are_answered_concurrently() -> None:
    running = most = 0

    async def answer(request: SearchRequest) -> SearchResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return await echo(request)

    assert len([each async for each in answer_in_order(aiter(Requests(100)), answer, itself)]) == 100
    assert most == WINDOW_REQUESTS


async def test_an_answer_does_not_wait_for_the_next_request() -> None:
    more = asyncio.Event()

    async def requests() -> AsyncIterator[SearchRequest]:
        yield SearchRequest(query="0")
        await more.wait()

    answers = answer_in_order(requests(), echo, itself)
    assert revisions([await asyncio.wait_for(anext(answers), 5)]) == ["0"]
    more.set()
    assert [each async for each in answers] == []


async def test_a_stream_whose_answers_are_unread_is_not_read_further() -> None:
    requests = Requests(1000)
    answers = answer_in_order(aiter(requests), echo, itself)
    await anext(answers)
    await asyncio.sleep(0.02)
    assert requests.read == WINDOW_REQUESTS
    await anext(answers)
    await asyncio.sleep(0.02)
    assert requests.read == WINDOW_REQUESTS + 1
    await answers.aclose()


async def test_an_error_takes_its_place_and_the_stream_continues(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(request: SearchRequest) -> SearchResponse:
        errors = {
            "1": Overloaded(0.25),
            "2": InvalidRequest([Violation("query", "is empty")]),
            "3": ZeroDivisionError("secret"),
        }
        if request.query in errors:
            raise errors[request.query]
        return await echo(request)

    answers = messages([each async for each in answer_in_order(aiter(Requests(5)), answer, itself)])
    assert [each.WhichOneof("result") for each in answers] == ["response", "error", "error", "error", "response"]
    assert [each.error.code for each in answers] == [0, 8, 3, 13, 0]
    assert [each.error.reason for each in answers[1:4]] == ["OVERLOADED", "INVALID_REQUEST", "INTERNAL_FAULT"]
    assert [each.error.retry_delay.ToMilliseconds() for each in answers] == [0, 250, 0, 0, 0]
    assert answers[2].error.message == "query: is empty"
    assert "secret" not in str(answers)
    (record,) = caplog.records
    assert record.getMessage().split()[1] in answers[3].error.message


async def test_an_abandoned_stream_cancels_its_requests() -> None:
    began, cancelled = 0, 0

    async def answer(request: SearchRequest) -> SearchResponse:
        nonlocal began, cancelled
        if request.query == "0":
            return await echo(request)
        began += 1
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled += 1
            raise
        raise AssertionError

    answers = answer_in_order(aiter(Requests(1000)), answer, itself)
    await anext(answers)
    await until(lambda: began == WINDOW_REQUESTS - 1)
    await answers.aclose()
    await until(lambda: cancelled == began)


async def test_an_error_of_the_client_ends_the_stream_after_its_last_answer() -> None:
    answers = answer_in_order(aiter(Requests(3, error=ConnectionError("reset"))), echo, itself)
    assert revisions([await anext(answers) for _ in range(3)]) == ["0", "1", "2"]
    with pytest.raises(ConnectionError, match="reset"):
        await anext(answers)


async def test_a_stream_abandoned_after_an_error_of_the_client_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    answers = answer_in_order(aiter(Requests(3, error=ConnectionError("reset"))), echo, itself)
    await anext(answers)
    await asyncio.sleep(0.01)
    await answers.aclose()
    del answers
    gc.collect()
    assert not caplog.records


async def test_an_answer_is_built_when_the_client_is_ready_for_it() -> None:
    searched: list[str] = []
    built: list[str] = []

    async def search(request: SearchRequest) -> str:
        searched.append(request.query)
        return request.query

    async def build(query: str) -> bytes:
        built.append(query)
        return SearchResponse(model_revision=query).SerializeToString()

    answers = answer_in_order(aiter(Requests(100)), search, build)
    for number in range(3):
        assert revisions([await anext(answers)]) == [str(number)]
        await asyncio.sleep(0.01)
        assert built == [str(each) for each in range(number + 1)]
    assert len(searched) >= WINDOW_REQUESTS
    await answers.aclose()


async def test_an_answer_that_cannot_be_built_takes_its_place() -> None:
    async def build(response: SearchResponse) -> bytes:
        if response.model_revision == "1":
            raise ResponseTooLarge(4096, "ask for less")
        return response.SerializeToString()

    answers = messages([each async for each in answer_in_order(aiter(Requests(3)), echo, build)])
    assert [each.error.reason for each in answers] == ["", "RESPONSE_TOO_LARGE", ""]
    assert not answers[1].error.HasField("retry_delay")


async def test_a_failed_search_of_an_abandoned_stream_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def search(request: SearchRequest) -> SearchResponse:
        if request.query == "0":
            return await echo(request)
        raise InvalidRequest([Violation("query", "is empty")])

    answers = answer_in_order(aiter(Requests(10)), search, itself)
    await anext(answers)
    await asyncio.sleep(0.01)
    await answers.aclose()
    del answers
    gc.collect()
    assert not caplog.records


async def test_a_failed_search_is_freed_without_a_garbage_collection() -> None:
    failed: list[weakref.ref[Exception]] = []

    async def search(request: SearchRequest) -> SearchResponse:
        error = InvalidRequest([Violation("query", request.query)])
        failed.append(weakref.ref(error))
        raise error

    gc.collect()
    gc.disable()
    try:
        assert len([each async for each in answer_in_order(aiter(Requests(10)), search, itself)]) == 10
        await asyncio.sleep(0)
        # The frame of the last search may still be referenced by the running loop.
        assert sum(each() is not None for each in failed) <= 1
    finally:
        gc.enable()
