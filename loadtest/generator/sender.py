"""Sends requests and records their outcomes."""

import asyncio
import functools
import itertools
import math
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from google.protobuf.message import DecodeError, Message

from loadtest.channel import Channel
from loadtest.clock import now_ns
from loadtest.codes import INTERNAL, OK, UNANSWERED
from loadtest.core.call import Answer, Form
from loadtest.generator.message_times import message_times
from loadtest.generator.outlet import Outlet
from loadtest.plan import Call, Plan
from loadtest.requests.answer import AnswerReader
from loadtest.requests.answer_errors import AnswerErrors, ErrorReader
from loadtest.requests.checks import AnswerChecks
from loadtest.requests.descriptors import CHAJA
from loadtest.requests.headers import RequestHeaders
from loadtest.requests.payload import Payload
from loadtest.requests.sampling import Draw, Sampler
from loadtest.requests.unique import made_unique
from loadtest.results.record import PACKER
from loadtest.results.relevance import ndcg, recall
from loadtest.stages import NO_STAGES

MIX_STREAM = 3
DROP_PERIOD_NS = 100_000_000
MOST_MESSAGES, MESSAGE_CHARACTERS = 50, 300
OTHER_MESSAGES = "(other messages)"
IN_ANSWER = "in the answer: "
MALFORMED = "the answer is not a message of the method's type"
DRAIN_PROBE_SECONDS = 0.005

BATCH, BATCH_BYTES = 32, 2**20
"""Answers that are read together, while the CPU's caches hold the code that reads them, not gRPC's."""


class Caller:
    """One call of the mix: its payload, its method on each channel, and the readers of its answers."""

    def __init__(self, call: Call, channels: Sequence[Channel], plan: Plan) -> None:
        method = call.method
        self.queries_per_call = call.queries_per_call
        self.payload = Payload(method, call.template, seed=plan.seed)
        # Chaja answers the messages of a stream in their order. Other servers need not.
        ordered = not method.server_streaming or method.service.startswith(f"{CHAJA}.")
        self.reader = AnswerReader(method.response_class, ordered=ordered)
        self.errors = ErrorReader(method.response_class, plan.error_fields)
        self.checks = AnswerChecks(method.response_class, call.checks)
        headers = (*plan.headers, *call.headers)
        self.headers = RequestHeaders(headers, seed=plan.seed) if headers else None
        self.labelled = bool(plan.labels) and self.reader.has_documents
        self.reads = bool(self.reader.has_stages or self.errors or self.checks or self.labelled)
        form = Form(method.client_streaming, method.server_streaming, plan.interval_seconds, plan.stream_seconds)
        self.methods = [channel.method(method.path, form) for channel in channels]


NO_SCORES, NO_ERRORS = (math.nan, math.nan), AnswerErrors()


class _Read(NamedTuple):
    """The content of an answer.

    Attributes:
        stages: Seconds of each stage of the server.
        batch_texts: Texts in the batch on the server.
        same: Whether the answer equals the reference answer: 1 yes, 0 no, -1 not compared.
        scores: Recall and nDCG.
        errors: The errors in the answer.
        failed_checks: A bit for each failed check.
    """

    stages: tuple[float, ...] = NO_STAGES
    batch_texts: int = 0
    same: int = -1
    scores: tuple[float, float] = NO_SCORES
    errors: AnswerErrors = NO_ERRORS
    failed_checks: int = 0


NOTHING_READ = _Read()


class _Request(NamedTuple):
    """A request as it was sent."""

    call: int
    key: tuple[int, ...]
    number: int
    request_bytes: int
    planned_ns: int
    sent_ns: int


class Sender:
    """Makes a plan's calls.

    Attributes:
        start_ns: When the measured part starts.
        worker: Number of this process.
        dropped: Planned requests that were not sent.
        dropped_at: Requests dropped since the last report, by planned tenth of a second.
        failure: Done, with its error, once a request could not be made or its answer not be recorded.
    """

    def __init__(self, plan: Plan, worker: int, channels: Sequence[Channel], outlet: Outlet) -> None:
        self.start_ns = 0
        self.worker = worker
        self.dropped = 0
        self.dropped_at: Counter[int] = Counter()
        self._loop = asyncio.get_running_loop()
        self.failure: asyncio.Future[None] = self._loop.create_future()
        self._messages: Counter[tuple[int, str]] = Counter()
        self._known_messages: set[tuple[int, str]] = set()
        self._plan = plan
        self._callers = [Caller(call, channels, plan) for call in plan.calls]
        self._mix = Draw([call.weight for call in plan.calls], seed=plan.seed, stream=MIX_STREAM)
        self._sampler = Sampler(plan.order, len(plan.queries), seed=plan.seed, exponent=plan.zipf_exponent)
        self._outlet = outlet
        self._sends = itertools.count()
        self._lock = threading.Lock()  # Each connection has a thread that calls `_answered`.
        self._unanswered: dict[int, _Request] = {}
        self._unread: list[tuple[_Request, Answer]] = []
        self._unread_bytes = 0

    def send(self, number: int, planned_ns: int, on_done: Callable[[int], None] | None = None) -> None:
        """Sends request `number` at once.

        Args:
            number: The request's number, which determines its call and queries.
            planned_ns: The planned time.
            on_done: Takes the gRPC code of the answer, in the thread of the connection.

        Raises:
            UsageError: The payload cannot be made.
        """
        with self._lock:
            index, key, messages = self._make(number)
            caller = self._callers[index]
            headers = caller.headers.render(self._plan.queries[key[0]], number) if caller.headers else ()
        send = next(self._sends)
        methods = caller.methods
        self._unanswered[send] = _Request(index, key, number, sum(map(len, messages)), planned_ns, now_ns())
        methods[send % len(methods)].start(
            messages,
            timeout_seconds=self._plan.deadline_seconds,
            on_answer=functools.partial(self._answered, send, on_done),
            headers=headers,
        )

    def _make(self, number: int) -> tuple[int, tuple[int, ...], Sequence[bytes]]:
        """Returns the number of the request's call in the mix, the numbers of its queries, and its messages."""
        index = self._mix[number] if len(self._callers) > 1 else 0
        caller, plan, sampler = self._callers[index], self._plan, self._sampler
        size = caller.queries_per_call
        key = (sampler[number],) if size == 1 else tuple([sampler[number * size + each] for each in range(size)])
        queries = [plan.queries[each] for each in key]
        if plan.unique_from is None:
            return index, key, caller.payload.render(queries, number, key=key)
        first = plan.unique_from + number * size
        unique = [made_unique(query, first + offset) for offset, query in enumerate(queries)]
        return index, key, caller.payload.render(unique, number)

    def _answered(self, send: int, on_done: Callable[[int], None] | None, answer: Answer) -> None:
        try:
            with self._lock:
                request = self._unanswered.pop(send, None)
                if request is not None:  # Otherwise the run has ended, and the call is recorded as unanswered.
                    self._unread.append((request, answer))
                    self._unread_bytes += sum(map(len, answer.messages))
                    if len(self._unread) >= BATCH or self._unread_bytes >= BATCH_BYTES:
                        self._record_all()
            if on_done is not None:
                on_done(answer.code)
        except Exception as error:
            self._loop.call_soon_threadsafe(self.fail, error)

    def fail(self, error: Exception) -> None:
        """Makes the run fail. Call it on the event loop's thread."""
        if not self.failure.done():
            self.failure.set_exception(error)

    @property
    def in_flight(self) -> int:
        """Number of unanswered calls."""
        return len(self._unanswered)

    def give_up(self) -> int:
        """Records the calls in flight as unanswered; returns their number. Answers that come later do not count."""
        with self._lock:
            unanswered = list(self._unanswered.values())
            self._unanswered.clear()
            self._unread += [(request, Answer(UNANSWERED, "", (), now_ns())) for request in unanswered]
            self._record_all()
        return len(unanswered)

    def drop(self, planned_ns: int) -> None:
        """Counts a dropped request, unless it belongs to the warm-up."""
        if planned_ns >= self.start_ns:
            self.dropped += 1
            self.dropped_at[(planned_ns - self.start_ns) // DROP_PERIOD_NS] += 1

    def _note(self, code: int, message: str) -> None:
        """Counts an error's message, up to a limit: a server may send a different text each time."""
        said = (code, message[:MESSAGE_CHARACTERS])
        if said not in self._known_messages:
            if len(self._known_messages) >= MOST_MESSAGES:
                said = (code, OTHER_MESSAGES)
            self._known_messages.add(said)
        self._messages[said] += 1

    def take_messages(self) -> Counter[tuple[int, str]]:
        """Records all answers; returns the status messages of errors since the last time, by code."""
        with self._lock:
            self._record_all()
            taken, self._messages = self._messages, Counter()
        return taken

    async def drain(self, *, patience_seconds: float) -> None:
        """Waits for the calls in flight, up to the given time."""
        until_ns = now_ns() + int(patience_seconds * 1e9)
        while self.in_flight and now_ns() < until_ns:
            await asyncio.sleep(DRAIN_PROBE_SECONDS)

    def _record_all(self) -> None:
        """Records the unread answers. The caller holds the lock."""
        unread, self._unread, self._unread_bytes = self._unread, [], 0
        for request, answer in unread:
            self._record(request, answer)

    def _record(self, request: _Request, answer: Answer) -> None:
        """Records the outcome of a request."""
        code, message, answers = answer.code, answer.message, answer.messages
        read = NOTHING_READ
        if code == OK:
            try:
                read = self._read(request.call, request.key, answers)
                code, message = read.errors.code, read.errors.message
            except DecodeError:
                code, message = INTERNAL, MALFORMED  # gRPC's code for a message that cannot be parsed.
        start_ns = self.start_ns
        self._outlet.record(
            PACKER.pack(
                request.planned_ns - start_ns,
                request.sent_ns - start_ns,
                answer.done_ns - start_ns,
                request.number,
                request.key[0],
                answer.sent_messages,
                request.request_bytes,
                len(answers),
                sum(map(len, answers)),
                request.call,
                self.worker,
                code,
                read.same,
                min(read.errors.parts, 0xFFFF),
                min(read.errors.failed, 0xFFFF),
                read.failed_checks,
                min(read.batch_texts, 0xFFFF),
                *read.stages,
                *read.scores,
                *message_times(request.sent_ns, answer.times_ns),
            )
        )
        if code not in (OK, UNANSWERED):
            self._note(code, f"{IN_ANSWER}{message}" if read.errors.failed else message)

    def _read(self, index: int, key: tuple[int, ...], answers: Sequence[bytes]) -> _Read:
        """Reads an answer that gRPC ended with OK."""
        plan, caller = self._plan, self._callers[index]
        reader = caller.reader
        reference = plan.reference_answers.get((index, key)) if plan.reference_answers else None
        messages = [reader.parse(answer) for answer in answers]  # Even if nothing is read: it may be malformed.
        if not caller.reads and reference is None:
            return NOTHING_READ
        errors = caller.errors.read(messages) if caller.errors else NO_ERRORS
        stages, texts = reader.stages(messages) if reader.has_stages else (NO_STAGES, 0)
        if errors.failed:  # As for other failed calls, there is no whole answer to judge.
            return _Read(stages, texts, errors=errors)
        failed_checks = caller.checks.failed(messages) if caller.checks else 0
        scores = self._quality(reader, key, messages) if caller.labelled else NO_SCORES
        same = -1 if reference is None else int(reader.digest(messages) == reference)
        return _Read(stages, texts, same, scores, errors, failed_checks)

    def _quality(self, reader: AnswerReader, key: tuple[int, ...], messages: list[Message]) -> tuple[float, float]:
        """Returns the mean recall and nDCG of the call's labelled queries."""
        found = reader.documents(messages)
        k, scores = self._plan.quality_at, []
        if len(found) == len(key):
            for each, documents in zip(key, found, strict=True):
                if labels := self._plan.labels.get(self._plan.queries[each].id):
                    scores.append((recall(documents, labels, k=k), ndcg(documents, labels, k=k)))
        if not scores:
            return math.nan, math.nan
        return sum(score[0] for score in scores) / len(scores), sum(score[1] for score in scores) / len(scores)
