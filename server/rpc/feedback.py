"""FeedbackService: takes what users did with hits, erases it, and lists what was learnt from it."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from chaja.v1 import (
    EraseFeedbackRequest,
    EraseFeedbackResponse,
    FeedbackEvent,
    FeedbackRefusal,
    FeedbackRefusalReason,
    FeedbackServiceServicer,
    LearnRecall,
    LearnRequest,
    LearnResponse,
    ListPromotionsRequest,
    ListPromotionsResponse,
    Mode,
    RecordFeedbackRequest,
    RecordFeedbackResponse,
)
from chaja.v1 import Promotion as PromotionMessage
from server.call_context import CallContext
from server.catalogue.feedback import Event, FeedbackKind, Promotion, Recorded
from server.encoding.normalisation import normalised
from server.errors import InvalidRequest, Violation
from server.metrics.feedback import MODES
from server.rpc.background import Background
from server.rpc.limits import (
    Limits,
    check_name,
    count_violations,
    name_violations,
    raise_any,
    text_violations,
)
from server.rpc.pages import fitting, id_before, page_token
from server.writing.feedback import FeedbackWriter
from server.writing.learning import Learning

MAX_EVENTS = 1000
MAX_SEARCH_ID_CHARACTERS = 64
MAX_RANK = 1_000_000
"""Bounds of a call and its events."""

REASON_OF = {
    Recorded.UNKNOWN_DOCUMENT: FeedbackRefusalReason.FEEDBACK_REFUSAL_REASON_UNKNOWN_DOCUMENT,
    Recorded.TOO_MANY: FeedbackRefusalReason.FEEDBACK_REFUSAL_REASON_TOO_MANY,
}

KINDS = frozenset(kind.value for kind in FeedbackKind)


class FeedbackServicer(FeedbackServiceServicer):
    """Implements `chaja.v1.FeedbackService`; the proto file states its contract."""

    def __init__(
        self,
        feedback: Callable[[], FeedbackWriter],
        learning: Callable[[], Learning],
        limits: Limits,
        background: Background,
    ) -> None:
        """Takes functions that return the writer of feedback and what learns from it, or raise NotReady or ReadOnly."""
        self._feedback = feedback
        self._learning = learning
        self._limits = limits
        self._background = background

    async def RecordFeedback(self, request: RecordFeedbackRequest, context: Any) -> RecordFeedbackResponse:
        """Stores events."""
        feedback = self._feedback()
        events = await self._background.run_if_large(partial(_read_events, request, self._limits))
        recorded = await feedback.record(events)
        return RecordFeedbackResponse(
            recorded_count=recorded.count(Recorded.STORED),
            known_count=recorded.count(Recorded.KNOWN),
            refusals=[
                FeedbackRefusal(position=position, reason=REASON_OF[each])
                for position, each in enumerate(recorded)
                if each in REASON_OF
            ],
        )

    async def EraseFeedback(self, request: EraseFeedbackRequest, context: Any) -> EraseFeedbackResponse:
        """Deletes events."""
        feedback = self._feedback()
        if request.WhichOneof("target") == "user_key":
            check_name("user_key", request.user_key)
            erased = await feedback.run(lambda log: log.erase_user(request.user_key))
        elif request.WhichOneof("target") == "before":
            seconds = request.before.seconds + request.before.nanos / 1e9
            if seconds > time.time():
                raise InvalidRequest([Violation("before", "is in the future: send a time that has passed")])
            erased = await feedback.run(lambda log: log.erase_before(seconds))
        else:
            raise InvalidRequest([Violation("target", "is not set: send user_key or before")])
        if (call := CallContext.current()) is not None:
            call.count(changed=erased)
        return EraseFeedbackResponse(erased_count=erased)

    async def ListPromotions(self, request: ListPromotionsRequest, context: Any) -> ListPromotionsResponse:
        """Returns a page of promotions."""
        feedback = self._feedback()
        size = self._limits.page_size(request.page_size)
        after = _place_of(request.page_token)
        found = await feedback.run(lambda log: log.promotions(after=after, limit=size + 1))
        promotions = fitting(map(_message, found[:size]), max_response_bytes=self._limits.max_response_bytes)
        response = ListPromotionsResponse(promotions=promotions)
        if len(promotions) < len(found):
            last = promotions[-1]
            place = msgspec.json.encode((last.document_id, last.example)).decode()
            response.next_page_token = page_token(place, ListPromotionsRequest())
        return response

    async def Learn(self, request: LearnRequest, context: Any) -> LearnResponse:
        """Learns from feedback."""
        learnt = await self._learning().learn(dry_run=request.dry_run, undo=request.undo)
        if (call := CallContext.current()) is not None:
            call.count(changed=learnt.documents)
        measured = learnt.measured
        if measured is None or not measured.questions:
            recalls = []
        else:
            recalls = [
                LearnRecall(
                    mode=Mode.Value(f"MODE_{name.upper()}"), before=measured.before[name], after=measured.after[name]
                )
                for name in MODES
            ]
        return LearnResponse(
            added_count=learnt.added,
            withdrawn_count=learnt.withdrawn,
            changed_count=learnt.documents,
            question_count=0 if measured is None else measured.questions,
            recalls=recalls,
        )


def _place_of(token: str) -> tuple[str, str]:
    """Returns the document and the example after which a page begins; raises InvalidRequest if the token is wrong."""
    place = id_before(token, ListPromotionsRequest())
    try:
        return msgspec.json.decode(place, type=tuple[str, str]) if place else ("", "")
    except msgspec.DecodeError:
        problem = "is not a token of this service: start with the first page"
        raise InvalidRequest([Violation("page_token", problem)]) from None


def _message(promotion: Promotion) -> PromotionMessage:
    document_id, example, users, seconds = promotion
    return PromotionMessage(document_id=document_id, example=example, user_count=users, time=Timestamp(seconds=seconds))


def _read_events(request: RecordFeedbackRequest, limits: Limits) -> list[Event]:
    """Returns the events of a request; raises InvalidRequest, which names each wrong field."""
    raise_any(count_violations("events", len(request.events), MAX_EVENTS))
    violations: list[Violation] = []
    for position, event in enumerate(request.events):
        violations += _violations(event, f"events[{position}]", limits)
    raise_any(violations)
    return [
        Event(
            event.search_id,
            normalised(event.query),
            event.document_id,
            FeedbackKind(event.kind),
            event.user_key,
            event.rank,
        )
        for event in request.events
    ]


def _violations(event: FeedbackEvent, field: str, limits: Limits) -> list[Violation]:
    violations = [
        *text_violations(f"{field}.search_id", event.search_id, MAX_SEARCH_ID_CHARACTERS),
        *text_violations(f"{field}.query", event.query, limits.max_query_characters),
        *name_violations(f"{field}.document_id", event.document_id),
        *name_violations(f"{field}.user_key", event.user_key),
    ]
    if event.kind not in KINDS:
        violations.append(Violation(f"{field}.kind", f"is {event.kind}: send a kind such as FEEDBACK_KIND_CLICKED"))
    if event.HasField("rank") and not 1 <= event.rank <= MAX_RANK:
        violations.append(Violation(f"{field}.rank", f"is {event.rank}; it must be 1 to {MAX_RANK}, or unset"))
    return violations
