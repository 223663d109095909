"""The callers of a soak: each does one thing over and over, and knows how that may end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from chaja import AsyncClient, connect_async
from chaja.v1 import AdminServiceStub, BatchSearchRequest, EncodeRequest, ReloadRequest, SearchRequest

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""How a client begins, with its empty SETTINGS (RFC 9113, section 3.4)."""

TIMEOUT_SECONDS = 20.0
RELOAD_TIMEOUT_SECONDS = 300.0
SEED = 11

REFUSED = ("RESOURCE_EXHAUSTED",)
"""Any call may be refused under pressure."""


@dataclass
class Outcomes:
    """What became of all calls: how many of each kind, and what ended as it must not."""

    made: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Caller:
    """One that does one thing over and over.

    Attributes:
        name: What.
        ask: Does it once; raises what gRPC raises, or AssertionError for a wrong answer.
        codes: How it may end.
        outcomes: Where it is counted.
        pause_seconds: Between two times.
    """

    name: str
    ask: Callable[[], Awaitable[None]]
    codes: tuple[str, ...]
    outcomes: Outcomes
    pause_seconds: float = 0.0

    async def call(self) -> None:
        """Does it once, and counts how it ended."""
        try:
            await self.ask()
            ended = "OK"
        except grpc.aio.AioRpcError as error:
            name = error.code().name
            ended = name if name in (*self.codes, *REFUSED) else f"{name}: {error.details()}"
        except (AssertionError, OSError) as error:
            ended = f"{type(error).__name__}: {error}"
        self.outcomes.made[self.name] += 1
        if ended not in (*self.codes, *REFUSED):
            self.outcomes.unexpected[f"{self.name}: {ended}"] += 1
        await asyncio.sleep(self.pause_seconds)


def callers_of(
    address: str, texts: Sequence[str], outcomes: Outcomes, *, reload_seconds: float, each: int = 3
) -> list[Caller]:
    """Returns `each` callers of every kind, and one that reloads. Call it where an event loop runs."""
    asked = Asked(address, texts)
    kinds: list[tuple[str, Callable[[], Awaitable[None]], tuple[str, ...], float]] = [
        ("search", asked.search, ("OK",), 0.02),  # Not more: a reload gets only the CPU that is left.
        ("batch", asked.batch, ("OK",), 0.05),
        ("stream", asked.stream, ("OK",), 0.05),
        ("encode", asked.encode, ("OK",), 0.05),
        ("wrong", asked.wrong, ("INVALID_ARGUMENT",), 0.02),
        ("cancelled", asked.cancelled, ("OK",), 0.01),
        ("hurried", asked.hurried, ("OK", "DEADLINE_EXCEEDED"), 0.01),
        ("connection", asked.connection, ("OK",), 0.1),
        ("dropped", asked.dropped, ("OK",), 0.1),
    ]
    callers = [Caller(name, ask, codes, outcomes, pause) for name, ask, codes, pause in kinds for _ in range(each)]
    return [*callers, Caller("reload", asked.reload, ("OK",), outcomes, reload_seconds)]


class Asked:
    """Everything that can be asked of a server, well-behaved or not."""

    def __init__(self, address: str, texts: Sequence[str]) -> None:
        self._address = address
        self._client: AsyncClient = connect_async(address, timeout_seconds=TIMEOUT_SECONDS)
        self._search: Any = self._client.search
        self._texts = itertools.cycle(texts)
        self._random = random.Random(SEED)

    def _some(self, count: int) -> list[str]:
        return list(itertools.islice(self._texts, count))

    async def search(self) -> None:
        """One search."""
        response = await self._search.Search(SearchRequest(query=next(self._texts)))
        assert response.hits, "something is found"

    async def batch(self) -> None:
        """Several searches in one call."""
        queries = self._some(self._random.randint(1, 40))
        request = BatchSearchRequest(requests=[SearchRequest(query=query) for query in queries])
        response = await self._search.BatchSearch(request)
        assert len(response.responses) == len(queries), "every query is answered"

    async def stream(self) -> None:
        """A stream of searches, one of which is wrong."""
        queries = [*self._some(self._random.randint(1, 60)), "  "]

        async def requests() -> AsyncIterator[SearchRequest]:
            for query in queries:
                yield SearchRequest(query=query)

        answers = [answer async for answer in self._search.SearchStream(requests())]
        assert len(answers) == len(queries), "every query is answered"
        assert answers[-1].WhichOneof("result") == "error", "a wrong query is answered with an error"

    async def encode(self) -> None:
        """Texts to encode."""
        texts = self._some(self._random.randint(1, 30))
        encode: Any = self._client.encode.Encode
        response = await encode(EncodeRequest(texts=texts))
        assert len(response.token_counts) == len(texts), "every text is encoded"

    async def wrong(self) -> None:
        """A search that breaks a limit."""
        query = self._random.choice(["", "   ", "x" * 5000])
        await self._search.Search(SearchRequest(query=query, limit=self._random.choice([0, -1, 10_000])))

    async def cancelled(self) -> None:
        """A search that is given up a moment later."""
        call = self._search.Search(SearchRequest(query=next(self._texts)))
        await asyncio.sleep(self._random.uniform(0, 0.01))
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call

    async def hurried(self) -> None:
        """A search whose deadline can hardly be kept."""
        await self._search.Search(SearchRequest(query=next(self._texts)), timeout=self._random.uniform(0.0005, 0.01))

    async def connection(self) -> None:
        """A connection for one search, with a client of its own."""
        # Channels to the same address would otherwise share a connection.
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with connect_async(self._address, options=options) as client:
            search: Any = client.search.Search
            await search(SearchRequest(query=next(self._texts)))

    async def dropped(self) -> None:
        """A connection that is dropped: at once, after what is no HTTP/2, or after its beginning."""
        host, _, port = self._address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(self._random.choice([b"", b"GET / HTTP/1.1\r\n\r\n", PREFACE, PREFACE[:10]]))
        await asyncio.sleep(self._random.uniform(0, 0.2))
        writer.transport.abort()

    async def reload(self) -> None:
        """Bundle and catalogue loaded anew."""
        async with grpc.aio.insecure_channel(self._address) as channel:
            stub: Any = AdminServiceStub(channel)
            await stub.Reload(ReloadRequest(), timeout=RELOAD_TIMEOUT_SECONDS)
