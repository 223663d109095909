"""SearchService: queries in, hits out."""

from __future__ import annotations

import asyncio
from typing import Any

from chaja.v1 import (
    BatchSearchRequest,
    BatchSearchResponse,
    Field,
    Hit,
    SearchRequest,
    SearchResponse,
    SearchServiceServicer,
)
from chaja.v1 import Match as MatchMessage
from server.batching.job import Job
from server.catalogue import document as catalogue
from server.encoding.tokenizer import TextKind
from server.engine import Engine, EngineSlot
from server.index.exact import Match
from server.metrics import Metrics
from server.rpc.limits import Limits
from server.rpc.running import run_jobs, timings_of

FIELD_OF = {
    catalogue.Field.TITLE: Field.FIELD_TITLE,
    catalogue.Field.TEXT: Field.FIELD_TEXT,
    catalogue.Field.EXAMPLE: Field.FIELD_EXAMPLE,
}


class SearchServicer(SearchServiceServicer):
    """Implements `chaja.v1.SearchService`; its contract stands in the proto file."""

    def __init__(self, slot: EngineSlot, limits: Limits, metrics: Metrics) -> None:
        self._slot = slot
        self._limits = limits
        self._metrics = metrics

    async def Search(self, request: SearchRequest, context: Any) -> SearchResponse:
        """Answers one query."""
        engine = self._slot.engine
        self._limits.check_search(request)
        job = self._job(engine, request)
        await run_jobs(engine, [job], ["query"])
        return self._response(engine, request, job)

    async def BatchSearch(self, request: BatchSearchRequest, context: Any) -> BatchSearchResponse:
        """Answers several queries."""
        engine = self._slot.engine
        requests = list(request.requests)
        self._limits.check_batch(requests)
        jobs = [self._job(engine, each) for each in requests]
        await run_jobs(engine, jobs, [f"requests[{position}].query" for position in range(len(jobs))])
        response = BatchSearchResponse()
        for each, job in zip(requests, jobs, strict=True):
            job.stopwatch.restart()
            response.responses.append(self._response(engine, each, job))
            await asyncio.sleep(0)  # Thousands of hits are built here; the others' calls go on in between.
        return response

    def _job(self, engine: Engine, request: SearchRequest) -> Job:
        limit = request.limit or self._limits.default_limit
        return engine.job(request.query, kind=TextKind.QUERY, limit=limit)

    def _response(self, engine: Engine, request: SearchRequest, job: Job) -> SearchResponse:
        """Fetches the documents that the search has found."""
        hits = [_hit(engine, match, request.language_code) for match in job.matches]
        job.stopwatch.lap("fetch")
        self._metrics.observe_stages(job.stopwatch)
        return SearchResponse(hits=hits, timings=timings_of(job), model_revision=engine.manifest.revision)


def _hit(engine: Engine, match: Match, language_code: str) -> Hit:
    document, part = engine.catalogue.documents[match.document], engine.catalogue.parts[match.part]
    hit = Hit(
        document_id=document.id,
        score=match.score,
        title=document.title_in(language_code),
        match=MatchMessage(
            field=FIELD_OF[part.field],
            language_code=part.language_code,
            example=part.text if part.field is catalogue.Field.EXAMPLE else "",
        ),
    )
    hit.attributes.update(document.attributes)
    return hit
