"""The calls of the soak: valid, invalid and aborted ones."""

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import grpc

from chaja import AsyncClient, connect_async
from chaja.v1 import AdminServiceStub, BatchSearchRequest, EncodeRequest, ReloadRequest, SearchRequest

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""A client's preface, with empty SETTINGS (RFC 9113, section 3.4)."""

TIMEOUT_SECONDS = 20.0
RELOAD_TIMEOUT_SECONDS = 300.0
SEED = 11


class Callers:
    """Makes every kind of call and counts the outcomes. Create it on the event loop.

    Attributes:
        made: Number of calls by kind.
        unexpected: Calls with a code that their kind does not allow, or with a wrong answer.
        searches: The start and the seconds of each search, by `time.monotonic()`.
    """

    kinds: ClassVar[dict[str, tuple[tuple[str, ...], float]]] = {
        "search": (("OK",), 0.02),
        "batch": (("OK",), 0.05),
        "stream": (("OK",), 0.05),
        "encode": (("OK",), 0.05),
        "invalid": (("INVALID_ARGUMENT",), 0.02),
        "cancelled": (("OK",), 0.01),
        "hurried": (("OK", "DEADLINE_EXCEEDED"), 0.01),
        "connection": (("OK",), 0.1),
        "dropped": (("OK",), 0.1),
        "reload": (("OK",), 0.0),
    }
    """By kind: the allowed codes besides RESOURCE_EXHAUSTED, and the pause after a call.

    The pauses leave a reload some CPU.
    """

    def __init__(self, address: str, texts: Sequence[str], *, token: str) -> None:
        self.made: Counter[str] = Counter()
        self.unexpected: Counter[str] = Counter()
        self.searches: list[tuple[float, float]] = []
        self._address = address
        self._metadata = [("authorization", f"Bearer {token}")]
        self._client: AsyncClient = connect_async(address, timeout_seconds=TIMEOUT_SECONDS)
        self._stub: Any = self._client.search
        self._texts = itertools.cycle(texts)
        self._random = random.Random(SEED)

    async def call(self, kind: str) -> None:
        """Calls once, counts the outcome, and pauses."""
        codes, pause_seconds = self.kinds[kind]
        expected = (*codes, "RESOURCE_EXHAUSTED")
        try:
            await getattr(self, f"_{kind}")()
            ended = "OK"
        except grpc.aio.AioRpcError as error:
            name = error.code().name
            ended = name if name in expected else f"{name}: {error.details()}"
        except (AssertionError, OSError) as error:
            ended = f"{type(error).__name__}: {error}"
        self.made[kind] += 1
        if ended not in expected:
            self.unexpected[f"{kind}: {ended}"] += 1
        await asyncio.sleep(pause_seconds)

    def _query(self) -> SearchRequest:
        return SearchRequest(query=next(self._texts))

    def _some(self, most: int) -> list[str]:
        return list(itertools.islice(self._texts, self._random.randint(1, most)))

    async def _search(self) -> None:
        began = time.monotonic()
        response = await self._stub.Search(self._query(), metadata=self._metadata)
        self.searches.append((began, time.monotonic() - began))
        assert response.hits, "the search has hits"

    async def _batch(self) -> None:
        requests = [SearchRequest(query=query) for query in self._some(40)]
        response = await self._stub.BatchSearch(BatchSearchRequest(requests=requests), metadata=self._metadata)
        assert len(response.responses) == len(requests), "every query is answered"

    async def _stream(self) -> None:
        queries = [*self._some(60), "  "]

        async def requests() -> AsyncIterator[SearchRequest]:
            for query in queries:
                yield SearchRequest(query=query)

        answers = [answer async for answer in self._stub.SearchStream(requests(), metadata=self._metadata)]
        assert len(answers) == len(queries), "every query is answered"
        assert answers[-1].WhichOneof("result") == "error", "a blank query is answered with an error"

    async def _encode(self) -> None:
        texts = self._some(30)
        encode: Any = self._client.encode.Encode
        response = await encode(EncodeRequest(texts=texts), metadata=self._metadata)
        assert len(response.token_counts) == len(texts), "every text is encoded"

    async def _invalid(self) -> None:
        query = self._random.choice(["", "   ", "x" * 5000])
        request = SearchRequest(query=query, limit=self._random.choice([0, -1, 10_000]))
        await self._stub.Search(request, metadata=self._metadata)

    async def _cancelled(self) -> None:
        call = self._stub.Search(self._query(), metadata=self._metadata)
        await asyncio.sleep(self._random.uniform(0, 0.01))
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call

    async def _hurried(self) -> None:
        await self._stub.Search(self._query(), timeout=self._random.uniform(0.0005, 0.01), metadata=self._metadata)

    async def _connection(self) -> None:
        # Otherwise, channels to the same address share a connection.
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with connect_async(self._address, options=options) as client:
            search: Any = client.search.Search
            await search(self._query(), metadata=self._metadata)

    async def _dropped(self) -> None:
        host, _, port = self._address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(self._random.choice([b"", b"GET / HTTP/1.1\r\n\r\n", PREFACE, PREFACE[:10]]))
        await asyncio.sleep(self._random.uniform(0, 0.2))
        writer.transport.abort()

    async def _reload(self) -> None:
        async with grpc.aio.insecure_channel(self._address) as channel:
            stub: Any = AdminServiceStub(channel)
            await stub.Reload(ReloadRequest(), timeout=RELOAD_TIMEOUT_SECONDS, metadata=self._metadata)
