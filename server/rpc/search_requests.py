"""Reads search requests: checks them, and turns them into the queries that are searched."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from chaja.v1 import SearchRequest
from server.encoding.normalisation import normalised
from server.engine import Engine
from server.ranking.options import SearchOptions
from server.rpc.interpretations import interprets
from server.rpc.limits import Limits
from server.rpc.masks import HITS, Mask
from server.rpc.search_pages import SearchPages
from server.rpc.understanding import Understood, reading_of, understand


class Query(NamedTuple):
    """A search request as it was read: what is searched, its options, and what its answer has."""

    understood: Understood
    options: SearchOptions
    mask: Mask
    pages: SearchPages
    language_code: str
    highlight: int


def read_request(request: SearchRequest, *, engine: Engine, limits: Limits) -> Query:
    """Returns the query of a request; raises InvalidRequest if the request breaks a rule."""
    return _query(request, limits.search_options(request), engine=engine, limits=limits)


def read_requests(requests: Sequence[SearchRequest], *, engine: Engine, limits: Limits) -> list[Query]:
    """Returns the queries of a batch; raises InvalidRequest if one request breaks a rule, or if there are too many."""
    options = limits.batch_options(requests)
    return [
        _query(each, asked, engine=engine, limits=limits, prefix=f"requests[{position}].")
        for position, (each, asked) in enumerate(zip(requests, options, strict=True))
    ]


def _query(
    request: SearchRequest, options: SearchOptions, *, engine: Engine, limits: Limits, prefix: str = ""
) -> Query:
    typed, most, reading = normalised(request.query), limits.max_paged_hits, None
    mask = HITS.mask(request.read_mask, field=f"{prefix}read_mask")
    pages = SearchPages.of(request, query=typed, options=options, revision=engine.manifest.revision)
    if request.page_token:
        after, reading = pages.page(request.page_token, field=f"{prefix}page_token", max_hits=most)
        options = replace(options, after=after, limit=min(options.limit, most - after.rank), seconds=after.seconds)
    elif interprets(request):
        reading = reading_of(typed, engine.index.state, filter=options.filter)
    return Query(understand(typed, reading), options, mask, pages, request.language_code, request.highlight)
