"""SearchService: queries in, hits out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from chaja.v1 import (
    BatchSearchRequest,
    BatchSearchResponse,
    SearchRequest,
    SearchResponse,
    SearchServiceServicer,
    SearchStreamResponse,
)
from server.batching.job import Job
from server.batching.pipeline import is_bulk
from server.engine import Engine, EngineSlot
from server.metrics import Metrics
from server.rpc.hits import Fetch, Hits
from server.rpc.limits import Limits
from server.rpc.running import run_jobs, timings_of
from server.rpc.stream import answer_in_order


class SearchServicer(SearchServiceServicer):
    """Implements `chaja.v1.SearchService`; the proto file states its contract."""

    def __init__(self, slot: EngineSlot, limits: Limits, metrics: Metrics, fetch: Fetch) -> None:
        self._slot = slot
        self._limits = limits
        self._metrics = metrics
        self._hits = Hits(fetch)

    async def Search(self, request: SearchRequest, context: Any) -> SearchResponse:
        """Answers one query."""
        return await self._search(request, context, bulk=is_bulk([request.query]))

    async def BatchSearch(self, request: BatchSearchRequest, context: Any) -> BatchSearchResponse:
        """Answers several queries."""
        engine = self._slot.engine
        requests = list(request.requests)
        options = self._limits.batch_options(requests)
        remaining, bulk = context.time_remaining(), is_bulk([each.query for each in requests])
        jobs = [
            engine.query_job(each.query, asked, remaining_seconds=remaining, bulk=bulk)
            for each, asked in zip(requests, options, strict=True)
        ]
        await run_jobs(engine, jobs, [f"requests[{position}].query" for position in range(len(jobs))])
        response = BatchSearchResponse()
        for each, job in zip(requests, jobs, strict=True):
            job.stopwatch.restart()
            response.responses.append(await self._response(engine, each, job))
            await asyncio.sleep(0)  # A batch may have thousands of hits; other calls run in between.
        return response

    async def SearchStream(
        self, request_iterator: AsyncIterator[SearchRequest], context: Any
    ) -> AsyncIterator[SearchStreamResponse]:
        """Answers the queries of a stream."""

        async def answer(request: SearchRequest) -> SearchResponse:
            return await self._search(request, context, bulk=True)

        async with contextlib.aclosing(answer_in_order(request_iterator, answer)) as responses:
            async for response in responses:
                self._metrics.count_stream_query(response.error.code)  # Without an error it is 0, which is OK.
                yield response

    async def _search(self, request: SearchRequest, context: Any, *, bulk: bool) -> SearchResponse:
        engine = self._slot.engine
        options = self._limits.search_options(request)
        job = engine.query_job(request.query, options, remaining_seconds=context.time_remaining(), bulk=bulk)
        await run_jobs(engine, [job], ["query"])
        return await self._response(engine, request, job)

    async def _response(self, engine: Engine, request: SearchRequest, job: Job) -> SearchResponse:
        """Fetches the documents that the search found, and builds the answer."""
        found, revision = job.found, engine.manifest.revision
        assert found is not None, "it was searched"
        hits = await self._hits.of(
            found.documents, query=job.text, language_code=request.language_code, revision=revision
        )
        response = SearchResponse(
            hits=hits, model_revision=revision, no_good_answer=found.no_good_answer, sequence=found.sequence
        )
        job.stopwatch.lap("fetch")
        self._metrics.observe_stages(job.stopwatch)
        response.timings.MergeFrom(timings_of(job))
        return response
