"""SearchService: queries in, hits out."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from chaja.v1 import (
    BatchSearchRequest,
    BatchSearchResponse,
    SearchRequest,
    SearchResponse,
    SearchServiceServicer,
)
from server.batching.job import Job
from server.batching.pipeline import is_bulk
from server.engine import Engine, EngineSlot
from server.metrics import Metrics
from server.rpc.background import Background
from server.rpc.facets import facet_message
from server.rpc.hits import Fetch, Hits
from server.rpc.interpretations import INTERPRETATION_OF
from server.rpc.limits import Limits
from server.rpc.min_sequence import Reach
from server.rpc.queries import Queries
from server.rpc.room import FACET_BYTES, RESPONSE_BYTES, WARNING_BYTES, Room
from server.rpc.running import run_jobs, timings_of
from server.rpc.search_pages import Page
from server.rpc.search_requests import Query, read_request, read_requests, takes_long
from server.rpc.slowest import SlowestSearches
from server.rpc.stream import answer_in_order
from server.rpc.synonym_messages import expansion_messages
from server.rpc.understood_queries import UnderstoodQueries
from server.rpc.wire import ELEMENT_BYTES, embedded

FEWER_HITS = "ask for fewer hits (limit) or fewer of their fields (read_mask)"

SEARCH_ID_BYTES = 12
"""Random bytes in the id of a search, so that it cannot be guessed and no two searches have the same."""

LARGE_ANSWER_BYTES = 256 * 1024
LARGE_AT_ONCE = 2
"""Size from which the answer to a batch is large, and number of large ones that are built at the same time. Other calls
wait, so that many callers do not fill the memory."""

T = TypeVar("T")


class Searched(NamedTuple):
    """A search that is done, and what its answer depends on."""

    engine: Engine
    job: Job
    query: Query


class SearchServicer(SearchServiceServicer):
    """Implements `chaja.v1.SearchService`; the proto file states its contract. Its answers are serialized."""

    def __init__(
        self,
        slot: EngineSlot,
        limits: Limits,
        metrics: Metrics,
        *,
        queries: Queries,
        fetch: Fetch,
        background: Background,
        slowest: SlowestSearches,
        reach: Reach,
    ) -> None:
        self._slot = slot
        self._limits = limits
        self._metrics = metrics
        self._queries = queries
        self._hits = Hits(fetch, background, metrics.caches)
        self._background = background
        self._slowest = slowest
        self._reach = reach
        self._understood = UnderstoodQueries()
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def Search(self, request: SearchRequest, context: Any) -> Any:
        """Answers one query."""
        searched = await self._search(request, context, bulk=is_bulk([request.query]))
        return await self._response(searched, self._room(FEWER_HITS))

    async def BatchSearch(self, request: BatchSearchRequest, context: Any) -> Any:
        """Answers several queries."""
        for each in request.requests:
            await self._reach(each.min_sequence, context)
        engine = self._slot.engine
        read = partial(read_requests, request.requests, engine=engine, limits=self._limits, understood=self._understood)
        queries = await self._read(read, request.requests, engine)
        bulk = is_bulk([query.understood.text for query in queries])
        jobs = [_job_of(query, engine, context, bulk=bulk) for query in queries]
        fields = [f"requests[{position}].query" for position in range(len(jobs))]
        await run_jobs(engine, jobs, fields, queries=self._queries)
        responses: list[bytes] = []
        room = self._room(f"send fewer queries in a call, or {FEWER_HITS}")
        async with contextlib.AsyncExitStack() as large:
            is_large = False
            for query, job in zip(queries, jobs, strict=True):
                if room.used_bytes > LARGE_ANSWER_BYTES and not is_large:
                    await large.enter_async_context(self._large)
                    is_large = True
                job.stopwatch.restart()
                response = await self._response(Searched(engine, job, query), room)
                responses.append(embedded(BatchSearchResponse.RESPONSES_FIELD_NUMBER, response))
                await asyncio.sleep(0)  # A batch may have thousands of hits; other calls run in between.
        return b"".join(responses)

    async def SearchStream(self, request_iterator: AsyncIterator[SearchRequest], context: Any) -> AsyncIterator[Any]:
        """Answers the queries of a stream."""

        async def search(request: SearchRequest) -> Searched:
            return await self._search(request, context, bulk=True)

        async def build(searched: Searched) -> bytes:
            searched.job.stopwatch.restart()  # It may have waited for the answers before it.
            return await self._response(searched, self._room(FEWER_HITS))

        async with contextlib.aclosing(answer_in_order(request_iterator, search, build)) as responses:
            async for answer in responses:
                self._metrics.calls.end_stream_query(answer.code, answer.reason)
                yield answer.message

    async def _read(self, read: Callable[[], T], requests: Sequence[SearchRequest], engine: Engine) -> T:
        """Returns what `read` reads in requests, all of one message."""
        state = engine.index.state
        long = takes_long(requests, documents=state.document_count)
        return await self._background.run_if_large(read, long=long, remote=state.is_remote)

    def _room(self, remedy: str) -> Room:
        return Room(self._limits.max_response_bytes, remedy)

    async def _search(self, request: SearchRequest, context: Any, *, bulk: bool) -> Searched:
        await self._reach(request.min_sequence, context)
        engine = self._slot.engine
        read = partial(read_request, request, engine=engine, limits=self._limits, understood=self._understood)
        query = await self._read(read, [request], engine)
        job = _job_of(query, engine, context, bulk=bulk)
        await run_jobs(engine, [job], ["query"], queries=self._queries)
        return Searched(engine, job, query)

    async def _response(self, searched: Searched, room: Room) -> bytes:
        """Fetches the documents that a search found; returns the serialized answer. Raises ResponseTooLarge."""
        job, query, revision = searched.job, searched.query, searched.engine.manifest.revision
        found = job.found
        assert found is not None, "it was searched"
        room.take(RESPONSE_BYTES)
        hits = await self._hits.of(
            found.documents,
            words=query.understood.words,
            language_code=query.language_code,
            revision=revision,
            mask=query.mask,
            room=room,
            bulk=job.bulk,
            highlight=query.highlight,
        )
        room.take(sum(len(warning.encode()) + WARNING_BYTES for warning in found.warnings))
        facets = [facet_message(each) for each in found.facets]
        room.take(sum(each.ByteSize() + FACET_BYTES for each in facets))
        response = SearchResponse(
            model_revision=revision,
            no_good_answer=found.no_good_answer,
            sequence=found.sequence,
            warnings=found.warnings,
            facets=facets,
            synonyms=expansion_messages(query.understood.expansion),
            search_id=os.urandom(SEARCH_ID_BYTES).hex(),
            shard_count=found.shard_count,
            missing_shards=max(found.missing_shards, query.missing_shards),
        )
        room.take(sum(each.ByteSize() + ELEMENT_BYTES for each in response.synonyms))
        if reading := query.understood.reading:
            response.interpreted_query, response.interpretation = reading.text, INTERPRETATION_OF[reading.kind]
        if found.end is not None and found.end.rank < self._limits.max_paged_hits:
            response.next_page_token = query.pages.token(Page(found.end, reading))
        room.take(len(response.next_page_token) + len(response.interpreted_query.encode()))
        job.stopwatch.lap("fetch")
        self._queries.answered(job)
        self._metrics.searches.answer(
            hits=len(found.documents),
            no_good_answer=found.no_good_answer,
            interpretation=job.interpretation,
            expanded=query.understood.expansion is not None,
            effects=[rule.effect.value for each in found.documents for rule in each.rules],
        )
        self._slowest.add(job)
        response.timings.MergeFrom(timings_of(job))
        return hits + response.SerializeToString()


def _job_of(query: Query, engine: Engine, context: Any, *, bulk: bool) -> Job:
    """Creates the job of a query. Its stopwatch starts now."""
    typed, reading, expansion, text, words = query.understood
    return engine.query_job(
        text,
        query.options,
        words=words,
        typed=typed,
        interpretation=reading.kind if reading else "",
        # The user has not written the whole text, which may be longer than the model's maximum.
        truncate=reading is not None or expansion is not None,
        remaining_seconds=context.time_remaining(),
        bulk=bulk,
    )
