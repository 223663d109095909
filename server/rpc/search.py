"""SearchService: queries in, hits out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, NamedTuple

from chaja.v1 import (
    BatchSearchRequest,
    BatchSearchResponse,
    SearchRequest,
    SearchResponse,
    SearchServiceServicer,
)
from server.batching.job import Job
from server.batching.pipeline import is_bulk
from server.encoding.normalisation import normalised
from server.engine import Engine, EngineSlot
from server.metrics import Metrics
from server.ranking.options import SearchOptions
from server.rpc.background import Background
from server.rpc.facets import facet_message
from server.rpc.hits import Fetch, Hits
from server.rpc.limits import Limits
from server.rpc.masks import HITS, Mask
from server.rpc.queries import Queries
from server.rpc.room import FACET_BYTES, RESPONSE_BYTES, WARNING_BYTES, Room
from server.rpc.running import run_jobs, timings_of
from server.rpc.slowest import SlowestSearches
from server.rpc.stream import answer_in_order
from server.rpc.wire import embedded

FEWER_HITS = "ask for fewer hits (limit) or fewer of their fields (read_mask)"

LARGE_ANSWER_BYTES = 256 * 1024
LARGE_AT_ONCE = 2
"""Size from which the answer to a batch is large, and number of large ones that are built at the same time. Other calls
wait, so that many callers do not fill the memory."""


class Query(NamedTuple):
    """A search request as it was read: its normalised text, its options and the fields of its hits."""

    text: str
    options: SearchOptions
    mask: Mask


class Searched(NamedTuple):
    """A search that is done, and what its answer depends on."""

    engine: Engine
    job: Job
    language_code: str
    mask: Mask


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
    ) -> None:
        self._slot = slot
        self._limits = limits
        self._metrics = metrics
        self._queries = queries
        self._hits = Hits(fetch, background, metrics.caches)
        self._background = background
        self._slowest = slowest
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def Search(self, request: SearchRequest, context: Any) -> Any:
        """Answers one query."""
        searched = await self._search(request, context, bulk=is_bulk([request.query]))
        return await self._response(searched, self._room(FEWER_HITS))

    async def BatchSearch(self, request: BatchSearchRequest, context: Any) -> Any:
        """Answers several queries."""
        engine = self._slot.engine
        queries = await self._background.run_if_large(partial(self._read_batch, request))
        remaining, bulk = context.time_remaining(), is_bulk([query.text for query in queries])
        jobs = [
            engine.query_job(query.text, query.options, remaining_seconds=remaining, bulk=bulk) for query in queries
        ]
        fields = [f"requests[{position}].query" for position in range(len(jobs))]
        await run_jobs(engine, jobs, fields, queries=self._queries)
        responses: list[bytes] = []
        room = self._room(f"send fewer queries in a call, or {FEWER_HITS}")
        async with contextlib.AsyncExitStack() as large:
            is_large = False
            for each, query, job in zip(request.requests, queries, jobs, strict=True):
                if room.used_bytes > LARGE_ANSWER_BYTES and not is_large:
                    await large.enter_async_context(self._large)
                    is_large = True
                job.stopwatch.restart()
                searched = Searched(engine, job, each.language_code, query.mask)
                response = await self._response(searched, room)
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

    def _room(self, remedy: str) -> Room:
        return Room(self._limits.max_response_bytes, remedy)

    async def _search(self, request: SearchRequest, context: Any, *, bulk: bool) -> Searched:
        engine = self._slot.engine
        query = await self._background.run_if_large(partial(self._read, request))
        job = engine.query_job(query.text, query.options, remaining_seconds=context.time_remaining(), bulk=bulk)
        await run_jobs(engine, [job], ["query"], queries=self._queries)
        return Searched(engine, job, request.language_code, query.mask)

    def _read(self, request: SearchRequest) -> Query:
        options = self._limits.search_options(request)
        return Query(normalised(request.query), options, HITS.mask(request.read_mask, field="read_mask"))

    def _read_batch(self, request: BatchSearchRequest) -> list[Query]:
        options = self._limits.batch_options(request.requests)
        return [
            Query(normalised(each.query), asked, HITS.mask(each.read_mask, field=f"requests[{position}].read_mask"))
            for position, (each, asked) in enumerate(zip(request.requests, options, strict=True))
        ]

    async def _response(self, searched: Searched, room: Room) -> bytes:
        """Fetches the documents that a search found; returns the serialized answer. Raises ResponseTooLarge."""
        job, revision = searched.job, searched.engine.manifest.revision
        found = job.found
        assert found is not None, "it was searched"
        room.take(RESPONSE_BYTES)
        hits = await self._hits.of(
            found.documents,
            query=job.text,
            language_code=searched.language_code,
            revision=revision,
            mask=searched.mask,
            room=room,
            bulk=job.bulk,
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
        )
        job.stopwatch.lap("fetch")
        self._queries.answered(job)
        self._metrics.searches.answer(hits=len(found.documents), no_good_answer=found.no_good_answer)
        self._slowest.add(job)
        response.timings.MergeFrom(timings_of(job))
        return hits + response.SerializeToString()
