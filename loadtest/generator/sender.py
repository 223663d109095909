"""Sends one request and records what became of it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from loadtest.generator.outlet import Outlet
from loadtest.plan import Call, Plan
from loadtest.requests.answer import NO_STAGES, AnswerReader
from loadtest.requests.payload import Payload
from loadtest.requests.sampling import Draw, Sampler
from loadtest.results.record import CODES, OK, PACKER
from loadtest.results.relevance import ndcg, recall

MIX_STREAM = 3
INTERNAL = CODES.index("INTERNAL")
UNKNOWN = CODES.index("UNKNOWN")

now_ns = time.monotonic_ns


class Caller:
    """One call of the mix over every connection.

    Messages stay bytes on their way through gRPC: requests are made once for each query, and answers are
    parsed only after their time has been taken.
    """

    def __init__(self, call: Call, channels: Sequence[grpc.aio.Channel]) -> None:
        method = call.method
        self.queries_per_call = call.queries_per_call
        self.payload = Payload(method, call.template)
        self.reader = AnswerReader(method.response_class)
        self.client_streaming, self.server_streaming = method.client_streaming, method.server_streaming
        kind = f"{'stream' if self.client_streaming else 'unary'}_{'stream' if self.server_streaming else 'unary'}"
        self.stubs: list[Any] = [getattr(channel, kind)(method.path) for channel in channels]

    def start(self, stub: int, messages: list[bytes], plan: Plan) -> Any:
        """Starts a call over a connection; returns gRPC's call."""
        request = iter(messages) if self.client_streaming else messages[0]
        return self.stubs[stub](request, timeout=plan.deadline_seconds, metadata=plan.target.metadata())

    async def collect(self, call: Any, answers: list[bytes]) -> None:
        """Takes the answers of a call as they come; raises grpc.aio.AioRpcError when it fails."""
        if self.server_streaming:
            async for answer in call:
                answers.append(answer)
        else:
            answers.append(await call)


class Sender:
    """Makes a plan's calls, and counts those in flight.

    Attributes:
        worker: Number of this process.
        in_flight: Calls that are not answered yet.
        dropped: Planned requests that were not sent.
    """

    def __init__(
        self, plan: Plan, worker: int, channels: Sequence[grpc.aio.Channel], outlet: Outlet, *, start_ns: int
    ) -> None:
        self.worker = worker
        self.in_flight = 0
        self.dropped = 0
        self._plan = plan
        self._callers = [Caller(call, channels) for call in plan.calls]
        self._mix = Draw([call.weight for call in plan.calls], seed=plan.seed, stream=MIX_STREAM)
        self._sampler = Sampler(plan.order, len(plan.queries), seed=plan.seed, exponent=plan.zipf_exponent)
        self._outlet = outlet
        self._start_ns = start_ns
        self._next_stub = 0
        self._tasks: set[asyncio.Task[int]] = set()

    def send(self, number: int, planned_ns: int) -> asyncio.Task[int]:
        """Sends request `number` at once; the task's result is the gRPC code.

        Raises:
            UsageError: The payload cannot be made.
        """
        index = self._mix[number] if len(self._callers) > 1 else 0
        caller = self._callers[index]
        size = caller.queries_per_call
        key = tuple([self._sampler[number * size + offset] for offset in range(size)])
        messages = caller.payload.render([self._plan.queries[each] for each in key], number, key=key)
        self._next_stub = (self._next_stub + 1) % len(caller.stubs)
        sent_ns = now_ns()
        call = caller.start(self._next_stub, messages, self._plan)
        self.in_flight += 1
        finishing = self._finish(call, index, key, messages, (planned_ns, sent_ns, number))
        task = asyncio.get_running_loop().create_task(finishing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self, *, patience_seconds: float) -> int:
        """Waits for the calls in flight, and cancels those that take longer; returns their number."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience_seconds)
        unfinished = len(self._tasks)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        return unfinished

    async def _finish(
        self, call: Any, index: int, key: tuple[int, ...], messages: list[bytes], times: tuple[int, int, int]
    ) -> int:
        caller = self._callers[index]
        answers: list[bytes] = []
        code = OK
        try:
            await caller.collect(call, answers)
        except grpc.aio.AioRpcError as error:
            status: Any = error.code()
            code = UNKNOWN if status is None else int(status.value[0])
        finally:
            self.in_flight -= 1
        done_ns = now_ns()
        stages, batch_texts, same, scores = NO_STAGES, 0, -1, (math.nan, math.nan)
        if code == OK:
            try:
                stages, batch_texts, same, scores = self._read(index, key, answers)
            except DecodeError:  # What gRPC itself calls an answer that cannot be parsed.
                code = INTERNAL
        planned_ns, sent_ns, number = times
        start_ns = self._start_ns
        self._outlet.record(
            PACKER.pack(
                planned_ns - start_ns,
                sent_ns - start_ns,
                done_ns - start_ns,
                number,
                key[0],
                sum(map(len, messages)),
                sum(map(len, answers)),
                index,
                self.worker,
                code,
                same,
                min(batch_texts, 0xFFFF),
                *stages,
                *scores,
            )
        )
        return code

    def _read(
        self, index: int, key: tuple[int, ...], answers: list[bytes]
    ) -> tuple[tuple[float, ...], int, int, tuple[float, float]]:
        """Returns stage times, texts in the batch, whether the answer is that at rest, and its quality."""
        plan, reader = self._plan, self._callers[index].reader
        stages, batch_texts, same, scores = NO_STAGES, 0, -1, (math.nan, math.nan)
        labelled = bool(plan.labels) and reader.has_hits
        at_rest = plan.at_rest.get((index, key)) if plan.at_rest else None
        if not (reader.has_stages or labelled or at_rest is not None):
            return stages, batch_texts, same, scores
        messages = [reader.parse(answer) for answer in answers]
        if reader.has_stages and messages:
            stages, batch_texts = max((reader.stages(message) for message in messages), key=lambda told: sum(told[0]))
        if labelled:
            scores = self._quality(reader, key, messages)
        if at_rest is not None:
            same = int(reader.digest(messages) == at_rest)
        return stages, batch_texts, same, scores

    def _quality(self, reader: AnswerReader, key: tuple[int, ...], messages: list[Message]) -> tuple[float, float]:
        """Returns recall and nDCG, on average over the call's labelled queries."""
        found = [documents for message in messages for documents in reader.documents(message)]
        k, scores = self._plan.quality_at, []
        if len(found) == len(key):
            for each, documents in zip(key, found, strict=True):
                if labels := self._plan.labels.get(self._plan.queries[each].id):
                    scores.append((recall(documents, labels, k=k), ndcg(documents, labels, k=k)))
        if not scores:
            return math.nan, math.nan
        return sum(score[0] for score in scores) / len(scores), sum(score[1] for score in scores) / len(scores)
