"""EncodeService: texts in, vectors out."""

from typing import Any

import numpy as np

from chaja.v1 import EncodeRequest, EncodeResponse, EncodeServiceServicer
from chaja.v1 import TextKind as TextKindMessage
from server.encoding.kind import TextKind
from server.engine import EngineSlot
from server.errors import ResponseTooLarge
from server.rpc.limits import RESERVED_BYTES, Limits
from server.rpc.queries import Queries
from server.rpc.running import run_jobs, timings_of

FLOAT_BYTES = 4
COUNT_BYTES = 5
"""Most bytes of an element of `EncodeResponse.token_counts`."""


class EncodeServicer(EncodeServiceServicer):
    """Implements `chaja.v1.EncodeService`; the proto file states its contract."""

    def __init__(self, slot: EngineSlot, limits: Limits, queries: Queries) -> None:
        self._slot = slot
        self._limits = limits
        self._queries = queries

    def _check_size(self, text_count: int, dimension: int) -> None:
        """Raises ResponseTooLarge before any work if the answer would be too large."""
        max_bytes, text_bytes = self._limits.max_response_bytes, dimension * FLOAT_BYTES + COUNT_BYTES
        most = (max_bytes - RESERVED_BYTES) // text_bytes
        if text_count > most:
            raise ResponseTooLarge(max_bytes, f"send at most {most} texts in a call")

    async def Encode(self, request: EncodeRequest, context: Any) -> EncodeResponse:
        """Encodes texts."""
        engine = self._slot.engine
        self._limits.check_encode(request)
        self._check_size(len(request.texts), engine.manifest.dimension)
        document = request.text_kind == TextKindMessage.TEXT_KIND_DOCUMENT
        kind = TextKind.TEXT if document else TextKind.QUERY
        jobs = engine.text_jobs(
            request.texts, kind, truncate=request.truncate, remaining_seconds=context.time_remaining()
        )
        fields = [f"texts[{position}]" for position in range(len(jobs))]
        await run_jobs(engine, jobs, fields, queries=self._queries)
        for job in jobs:
            self._queries.answered(job)
        slowest = max(jobs, key=lambda job: sum(job.stopwatch.seconds.values()))
        return EncodeResponse(
            vectors=np.stack([job.vector for job in jobs if job.vector is not None]).astype("<f4").tobytes(),
            dimension=engine.manifest.dimension,
            token_counts=[job.tokens.whole_count for job in jobs if job.tokens is not None],
            timings=timings_of(slowest),
            model_revision=engine.manifest.revision,
        )
