"""The search page at `/search`, its answers at `/search.json`, and, below `/search`, its choices and suggestions.

A search of the page is a call of `SearchService.Search`: it passes the same checks, and has the same metrics and logs.
Suggestions are calls of `SuggestService.Suggest`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import grpc
import msgspec
from google.protobuf import json_format
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaja.v1 import GetServerInfoRequest, Hit, SearchResponse, SuggestResponse
from server.engine import EngineSlot
from server.errors import ChajaError
from server.http.pages.assets import page_routes
from server.http.pages.options import OptionsReader
from server.http.pages.passages import Passage, passages_of
from server.http.pages.search_request import search_request, suggest_request
from server.priority import CALL_NICENESS, give_way
from server.rpc.errors import refusal_of
from server.rpc.hits import EFFECT_OF, Fetch
from server.rpc.local import CallFailed, LocalCalls
from server.stages import STAGES

NAME_OF: dict[int, str] = {message: effect.value for effect, message in EFFECT_OF.items()}

FILES = ["search.css", "search.js", "hits.js", "filters.js", "suggestions.js"]

SEARCH, INFO = "/chaja.v1.SearchService/Search", "/chaja.v1.InfoService/GetServerInfo"
SUGGEST = "/chaja.v1.SuggestService/Suggest"

TOKEN_HEADER = "X-Chaja-Token"  # noqa: S105  only its name
"""The header with the token of `--tokens`. `Authorization` has that of `--http-token-file`."""

CALL_SECONDS = 8.0
"""Deadline of a search. It passes before the HTTP port closes the connection (`port.REQUEST_SECONDS`)."""

STATUS_OF = {
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    grpc.StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
}

T = TypeVar("T")


class SearchPage:
    """Answers for the search page, in the thread of the HTTP port. Create it in the server's event loop."""

    def __init__(self, calls: LocalCalls, slot: EngineSlot, *, fetch: Fetch, max_limit: int) -> None:
        """Takes the function that reads the store."""
        self._calls = calls
        self._slot = slot
        self._fetch = fetch
        self._options = OptionsReader(fetch, max_limit=max_limit)
        self._served_loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "search-page", initializer=give_way, initargs=(CALL_NICENESS,))

    def routes(self) -> list[Route]:
        """Returns the routes of the page, its files and its answers."""
        return [
            *page_routes("/search", "search.html", FILES),
            Route("/search.json", partial(self._guarded, self._search)),
            Route("/search/suggestions.json", partial(self._guarded, self._suggest)),
            Route("/search/options.json", partial(self._guarded, self._read_options)),
        ]

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(cancel_futures=True)

    async def _guarded(self, answer: Callable[[Request], Awaitable[Any]], request: Request) -> Response:
        """Answers a request with JSON: what `answer` returns, or its error."""
        try:
            return _json(await answer(request))
        except CallFailed as error:
            status = STATUS_OF.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
            body = {"message": str(error), "reason": error.reason, "retry_seconds": error.retry_seconds}
            return _json(body, status)
        except ChajaError as error:
            refusal = refusal_of(error, request.url.path)
            status = STATUS_OF.get(refusal.code, HTTPStatus.INTERNAL_SERVER_ERROR)
            return _json({"message": refusal.message, "reason": refusal.reason, "retry_seconds": None}, status)

    async def _search(self, request: Request) -> dict[str, Any]:
        asked = search_request(request.query_params)
        answer = await self._call(SEARCH, asked.SerializeToString(), request)
        response = SearchResponse.FromString(answer)
        passages = await self._in_thread(passages_of, response.hits, response.model_revision, self._fetch)
        timings = response.timings
        return {
            "hits": [_hit(hit, passage) for hit, passage in zip(response.hits, passages, strict=True)],
            "stages": {
                stage: getattr(timings, stage).ToTimedelta().total_seconds()
                for stage in STAGES
                if timings.HasField(stage)
            },
            "batch_texts": timings.batch_texts,
            "interpreted_query": response.interpreted_query,
            "synonyms": [{"phrase": each.phrase, "added": list(each.added)} for each in response.synonyms],
            "no_good_answer": response.no_good_answer,
            "warnings": list(response.warnings),
            "model_revision": response.model_revision,
            "sequence": response.sequence,
        }

    async def _suggest(self, request: Request) -> dict[str, Any]:
        asked = suggest_request(request.query_params)
        answer = await self._call(SUGGEST, asked.SerializeToString(), request)
        response = SuggestResponse.FromString(answer)
        return {
            "suggestions": [
                {
                    "text": each.text,
                    "document_id": each.document_id,
                    "start": each.highlights[0].start,
                    "end": each.highlights[0].end,
                }
                for each in response.suggestions
            ],
            "sequence": response.sequence,
        }

    async def _read_options(self, request: Request) -> object:
        # The call checks the token, and that the server has loaded its model.
        await self._call(INFO, GetServerInfoRequest().SerializeToString(), request)
        return await self._in_thread(self._options.read, self._slot.engine)

    async def _call(self, method: str, message: bytes, request: Request) -> bytes:
        """Makes a call in the server's event loop, as if its client were that of the request."""
        token = request.headers.get(TOKEN_HEADER, "")
        metadata = [("authorization", f"Bearer {token}")] if token else []
        peer = f"http:{request.client.host}" if request.client else "http"
        call = self._calls.call(method, message, metadata=metadata, peer=peer, seconds=CALL_SECONDS)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._served_loop))

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


def _hit(hit: Hit, passage: Passage | None) -> dict[str, Any]:
    return {
        "document_id": hit.document_id,
        "title": hit.title,
        "score": hit.score,
        "dense_score": hit.dense_score if hit.HasField("dense_score") else None,
        "lexical_score": hit.lexical_score if hit.HasField("lexical_score") else None,
        "attributes": json_format.MessageToDict(hit.attributes),
        "match": passage,
        "rules": [
            {"id": rule.rule_id, "effect": NAME_OF[rule.effect], "score_change": rule.score_change}
            for rule in hit.applied_rules
        ],
    }


def _json(content: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
