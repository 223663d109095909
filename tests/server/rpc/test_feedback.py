"""FeedbackService on the live catalogue of a small model."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from chaja.v1 import (
    EraseFeedbackRequest,
    FeedbackEvent,
    FeedbackKind,
    FeedbackRefusal,
    FeedbackRefusalReason,
    LearnRequest,
    ListPromotionsRequest,
    RecordFeedbackRequest,
    RecordFeedbackResponse,
)
from server.catalogue.feedback import Promotion, record_promotions
from server.errors import InvalidRequest, ReadOnly
from server.rpc.background import Background
from server.rpc.feedback import FeedbackServicer
from server.rpc.limits import Limits
from server.settings import Settings
from tests.server.writing.making import Core, running, titled, upserts

CLICKED = FeedbackKind.FEEDBACK_KIND_CLICKED


def event(**fields: Any) -> FeedbackEvent:
    values: dict[str, Any] = {
        "search_id": "s",
        "query": "환율",
        "document_id": "a",
        "kind": CLICKED,
        "user_key": "mina",
    }
    return FeedbackEvent(**values | fields)


def none() -> Any:
    raise ReadOnly("start it with --data")


class Served:
    """A servicer over the layers below it."""

    def __init__(self, core: Core) -> None:
        self.core = core
        limits = Limits.of(Settings(bundle=Path(), data=Path()))
        self.servicer = FeedbackServicer(lambda: core.catalogue.feedback, none, limits, Background())

    async def record(self, *events: FeedbackEvent) -> RecordFeedbackResponse:
        return await self.servicer.RecordFeedback(RecordFeedbackRequest(events=events), None)

    async def refused(self, *events: FeedbackEvent) -> list[tuple[str, str]]:
        with pytest.raises(InvalidRequest) as caught:
            await self.record(*events)
        return [(each.field, each.description) for each in caught.value.violations]

    async def erase(self, **target: Any) -> int:
        return (await self.servicer.EraseFeedback(EraseFeedbackRequest(**target), None)).erased_count


@pytest.fixture
async def served(tmp_path: Path, tiny_bundle: Path) -> AsyncIterator[Served]:
    async with running(tmp_path / "data", tiny_bundle) as core:
        await core.writer.upsert(upserts(titled("a"), titled("b")))
        yield Served(core)


async def test_each_event_is_counted_or_refused_with_its_position(served: Served) -> None:
    response = await served.record(event(), event(document_id="gone"), event(), event(rank=3, search_id="t"))
    reason = FeedbackRefusalReason.FEEDBACK_REFUSAL_REASON_UNKNOWN_DOCUMENT
    assert response == RecordFeedbackResponse(
        recorded_count=2, known_count=1, refusals=[FeedbackRefusal(position=1, reason=reason)]
    )


async def test_queries_are_stored_composed_and_with_single_spaces(served: Served) -> None:
    await served.record(event(query=" \u1112\u116a\u11ab율\n 조회"))
    assert [each.query for each in served.core.catalogue.feedback.log.evidence()] == ["환율 조회"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"search_id": ""}, ("search_id", "is empty")),
        ({"search_id": "s" * 65}, ("search_id", "has 65 characters; at most 64")),
        ({"query": " \u3000"}, ("query", "is empty")),
        ({"query": "가" * 1001}, ("query", "has 1001 characters; at most 1000")),
        ({"document_id": ""}, ("document_id", "is empty")),
        ({"user_key": ""}, ("user_key", "is empty")),
        ({"user_key": "u" * 257}, ("user_key", "has 257 characters")),
        ({"kind": 0}, ("kind", "is 0: send a kind")),
        ({"kind": 5}, ("kind", "is 5: send a kind")),
        ({"rank": 0}, ("rank", "is 0; it must be 1 to 1000000, or unset")),
        ({"rank": -1}, ("rank", "is -1")),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_stored(
    served: Served, fields: dict[str, Any], problem: tuple[str, str]
) -> None:
    ((field, description),) = await served.refused(event(), event(**fields))
    assert field == f"events[1].{problem[0]}"
    assert description.startswith(problem[1])
    assert list(served.core.catalogue.feedback.log.evidence()) == []


async def test_a_call_has_1_to_1000_events(served: Served) -> None:
    assert (await served.refused())[0][0] == "events"
    assert (await served.refused(*[event()] * 1001))[0] == (
        "events",
        "has 1001 elements; it must have 1 to 1000: split the call",
    )


async def test_a_user_is_erased(served: Served) -> None:
    await served.record(event(), event(user_key="yuna"))
    assert [await served.erase(user_key="mina"), await served.erase(user_key="mina")] == [1, 0]


async def test_events_before_a_time_are_erased(served: Served) -> None:
    await served.record(event())
    assert await served.erase(before=Timestamp(seconds=1)) == 0
    past = Timestamp()
    past.GetCurrentTime()
    assert await served.erase(before=past) in (0, 1), "the time of an event has whole seconds"


@pytest.mark.parametrize("target", [{}, {"user_key": ""}, {"before": Timestamp(seconds=2**35)}])
async def test_nothing_is_erased_without_a_target(served: Served, target: dict[str, Any]) -> None:
    await served.record(event())
    with pytest.raises(InvalidRequest):
        await served.erase(**target)
    assert len(list(served.core.catalogue.feedback.log.evidence())) == 1


async def test_promotions_are_listed_page_by_page(served: Served) -> None:
    made = [Promotion(id, f"질문 {number}", 2, 5) for id in ("a", "b\0c") for number in range(3)]
    with served.core.store.write() as transaction:
        record_promotions(transaction, made)
    request, found = ListPromotionsRequest(page_size=2), []
    while True:
        page = await served.servicer.ListPromotions(request, None)
        found += [(each.document_id, each.example, each.user_count, each.time.seconds) for each in page.promotions]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert found == [tuple(each) for each in made]


async def test_a_wrong_page_token_is_named(served: Served) -> None:
    with pytest.raises(InvalidRequest, match="page_token"):
        await served.servicer.ListPromotions(ListPromotionsRequest(page_token="x"), None)


async def test_a_server_without_feedback_says_how_to_keep_it(served: Served) -> None:
    servicer = FeedbackServicer(none, none, Limits.of(Settings(bundle=Path(), data=Path())), Background())
    with pytest.raises(ReadOnly):
        await servicer.RecordFeedback(RecordFeedbackRequest(events=[event()]), None)
    with pytest.raises(ReadOnly):
        await servicer.Learn(LearnRequest(), None)
