"""Reads search requests: checks them, and turns them into the queries that are searched."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from chaja.v1 import SearchRequest
from server.batching.pipeline import INTERACTIVE_TEXTS
from server.encoding.normalisation import normalised
from server.engine import Engine
from server.ranking.options import Asked, SearchOptions
from server.ranking.understanding import Understood, understand, uninterpreted
from server.rpc.background import request_bytes
from server.rpc.interpretations import interprets
from server.rpc.limits import Limits
from server.rpc.masks import HITS, Mask
from server.rpc.search_pages import SearchPages
from server.rpc.understood_queries import UnderstoodQueries

LONG_FILTERING = 10**8
"""Documents times bytes of a message with filters above which the filters may take longer than a millisecond: one
condition takes about 0.2 ms for a million documents."""


class Query(NamedTuple):
    """A search request as it was read: what is searched, its options, and what its answer has."""

    understood: Understood
    options: SearchOptions
    mask: Mask
    pages: SearchPages
    language_code: str
    highlight: int
    missing_shards: int
    """Shards that have not answered while the query was read."""


def takes_long(requests: Sequence[SearchRequest], *, documents: int) -> bool:
    """Whether it may take milliseconds to read all requests of the running task's message.

    To interpret a query takes about half a millisecond, and as long as its filter takes for all documents.
    """
    filtered = any(request.HasField("filter") for request in requests)
    return len(requests) > INTERACTIVE_TEXTS or (filtered and documents * request_bytes.get() > LONG_FILTERING)


def read_request(request: SearchRequest, *, engine: Engine, limits: Limits, understood: UnderstoodQueries) -> Query:
    """Returns the query of a request; raises InvalidRequest if the request breaks a rule."""
    return _query(request, limits.search_options(request), engine=engine, limits=limits, queries=understood)


def read_requests(
    requests: Sequence[SearchRequest], *, engine: Engine, limits: Limits, understood: UnderstoodQueries
) -> list[Query]:
    """Returns the queries of a batch; raises InvalidRequest if one request breaks a rule, or if there are too many."""
    options = limits.batch_options(requests)
    return [
        _query(each, asked, engine=engine, limits=limits, queries=understood, prefix=f"requests[{position}].")
        for position, (each, asked) in enumerate(zip(requests, options, strict=True))
    ]


def _query(
    request: SearchRequest,
    options: SearchOptions,
    *,
    engine: Engine,
    limits: Limits,
    queries: UnderstoodQueries,
    prefix: str = "",
) -> Query:
    typed, state, most = normalised(request.query), engine.index.state, limits.max_paged_hits
    mask = HITS.mask(request.read_mask, field=f"{prefix}read_mask")
    pages = SearchPages.of(request, query=typed, options=options, revision=engine.manifest.revision)
    if options.allow_partial:
        state = state.partial()
    mode, language, interpreted = options.mode, request.language_code, interprets(request)
    understood = uninterpreted(typed)
    if request.page_token:
        after, reading = pages.page(request.page_token, field=f"{prefix}page_token", max_hits=most)
        options = replace(options, after=after, limit=min(options.limit, most - after.rank), seconds=after.seconds)
        understood = uninterpreted(typed, reading)
        if interpreted:
            understood = understand(typed, reading, state, mode, language=language)
    elif interpreted:
        understood = queries.understand(typed, state, mode=mode, language=language, filter=options.filter)
    if state.rules.merchandising.table.rules and not request.ignore_rules:
        asked = Asked(understood.read, request.language_code)
        options = replace(options, asked=asked, seconds=options.seconds or int(time.time()))
    return Query(understood, options, mask, pages, request.language_code, request.highlight, state.missing_shards)
