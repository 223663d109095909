"""Calls that would hurt other callers if the server did not bound them: `python -m benchmarks.serving.harmful --help`.

Each kind repeats until the process ends. The process has a low priority, because real callers use other machines.
A call with an unexpected status is printed to stderr.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc

from chaja import AsyncClient, connect_async
from chaja.v1 import (
    AttributeValue,
    BatchSearchRequest,
    BatchSearchResponse,
    Document,
    EncodeRequest,
    Filter,
    GetDocumentRequest,
    In,
    ListDocumentsRequest,
    LocalizedText,
    Mode,
    SearchRequest,
    Upsert,
    UpsertDocumentsRequest,
    WatchChangesRequest,
)

NICENESS = 19
SEED = 17
PAUSE_SECONDS = 1.0
TIMEOUT_SECONDS = 20.0

LARGE_DOCUMENTS, LARGE_BYTES = 100, 300_000
"""Documents with a large attribute, and the size of the attribute."""

LONG_CHARACTERS = 100_000
CONNECTIONS = 150
LEAVER = "leaver"
"""Name of the token that is removed from the file of tokens again and again."""

EXPECTED = {"OK", "RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "UNAUTHENTICATED", "DEADLINE_EXCEEDED", "UNAVAILABLE"}
"""UNAVAILABLE ends streams, and calls on connections above the limit."""


class Harmful:
    """Makes the calls. Create it on the event loop."""

    def __init__(self, address: str, monitoring: str, tokens: Path) -> None:
        """Takes the addresses of the gRPC port and of the port of the metrics, and the file of tokens."""
        self._address = address
        self._monitoring = monitoring
        self._tokens = tokens
        self._lines = tokens.read_text(encoding="utf-8").splitlines(keepends=True)
        self._token_of = {name: token for _, name, token in map(str.split, self._lines)}
        self._client: AsyncClient = connect_async(address, timeout_seconds=TIMEOUT_SECONDS)
        self._random = random.Random(SEED)
        catalogue = Path("sample/catalogue.jsonl").read_text(encoding="utf-8").splitlines()
        self._words = " ".join(str(json.loads(line)["text"]) for line in catalogue).split()

    @property
    def kinds(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """The kinds of calls by name."""
        return {
            "large answers": self._large_answers,
            "large pages": self._large_pages,
            "long document": self._long_document,
            "long texts": self._long_texts,
            "large filters": self._large_filters,
            "empty elements": self._empty_elements,
            "lexical stream": self._lexical_stream,
            "idle connections": self._idle_connections,
            "wrong token": self._wrong_token,
            "removed token": self._removed_token,
        }

    async def prepare(self) -> None:
        """Writes the large documents."""
        for number in range(LARGE_DOCUMENTS):
            document = Document(id=f"large-{number}", titles=[LocalizedText(text=f"큰 문서 {number}")])
            document.attributes.update({"blob": "가나다라 " * (LARGE_BYTES // 13)})
            await self._write(document)

    async def repeat(self, kind: str) -> None:
        """Makes the calls of a kind without end."""
        while True:
            try:
                await self.kinds[kind]()
            except grpc.aio.AioRpcError as error:
                if error.code().name not in EXPECTED:
                    print(f"{kind}: {error.code().name}: {error.details()}", file=sys.stderr, flush=True)
            await asyncio.sleep(PAUSE_SECONDS)

    def _metadata(self, name: str = "writer") -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {self._token_of[name]}")]

    def _text(self, characters: int) -> str:
        return " ".join(self._random.choices(self._words, k=characters))[:characters]

    async def _write(self, document: Document) -> None:
        upsert: Any = self._client.catalog.UpsertDocuments
        request = UpsertDocumentsRequest(upserts=[Upsert(document=document)])
        await upsert(request, timeout=TIMEOUT_SECONDS, metadata=self._metadata())

    async def _large_answers(self) -> None:
        search: Any = self._client.search.BatchSearch
        requests = [SearchRequest(query=f"큰 문서 {number}", limit=100) for number in range(80)]
        answer: BatchSearchResponse = await search(BatchSearchRequest(requests=requests), metadata=self._metadata())
        print(f"large answers: an answer of {answer.ByteSize()} bytes was not refused", file=sys.stderr, flush=True)

    async def _large_pages(self) -> None:
        catalog: Any = self._client.catalog
        await catalog.ListDocuments(ListDocumentsRequest(page_size=1000), metadata=self._metadata())
        await catalog.GetDocument(GetDocumentRequest(id="large-1"), metadata=self._metadata())
        watch = catalog.WatchChanges(WatchChangesRequest(), timeout=TIMEOUT_SECONDS, metadata=self._metadata())
        for _ in range(20):
            await watch.read()
        watch.cancel()

    async def _long_document(self) -> None:
        await self._write(Document(id="long", texts=[LocalizedText(text=self._text(LONG_CHARACTERS))]))

    async def _long_texts(self) -> None:
        encode: Any = self._client.encode.Encode
        texts = [self._text(20_000) for _ in range(50)]
        await encode(EncodeRequest(texts=texts, truncate=True), metadata=self._metadata())

    async def _large_filters(self) -> None:
        values = [AttributeValue(string_value=f"{number}") for number in range(8000)]
        filter = Filter(is_in=In(attribute="category", values=values))
        requests = [SearchRequest(query=f"카드 {number}", filter=filter) for number in range(40)]
        search: Any = self._client.search.BatchSearch
        await search(BatchSearchRequest(requests=requests), metadata=self._metadata())

    async def _empty_elements(self) -> None:
        call: Any = self._client.channel.unary_unary("/chaja.v1.SearchService/BatchSearch")
        await call(b"\x0a\x00" * 2_000_000, timeout=TIMEOUT_SECONDS, metadata=self._metadata())

    async def _lexical_stream(self) -> None:
        async def requests() -> AsyncIterator[SearchRequest]:
            for _ in range(200):
                yield SearchRequest(query=self._text(40), mode=Mode.MODE_LEXICAL, limit=100)

        stream: Any = self._client.search.SearchStream
        async for _ in stream(requests(), timeout=TIMEOUT_SECONDS, metadata=self._metadata()):
            pass

    async def _idle_connections(self) -> None:
        """Holds connections without a request on one port, and half a request on the other."""
        opened: list[socket.socket] = []
        try:
            for address, data in ((self._address, b""), (self._monitoring, b"GET /metrics HTTP/1.1\r\n")):
                host, _, port = address.rpartition(":")
                for _ in range(CONNECTIONS):
                    client = socket.socket()
                    opened.append(client)
                    client.setblocking(False)
                    loop = asyncio.get_running_loop()
                    with contextlib.suppress(OSError, TimeoutError):
                        await asyncio.wait_for(loop.sock_connect(client, (host, int(port))), 1)
                        await loop.sock_sendall(client, data)
            await asyncio.sleep(10)
        finally:
            for client in opened:
                client.close()

    async def _wrong_token(self) -> None:
        search: Any = self._client.search.Search
        for metadata in ([], [("authorization", "Bearer " + "x" * 20)]):
            for _ in range(50):
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await search(SearchRequest(query="카드"), metadata=metadata)

    async def _removed_token(self) -> None:
        """Opens a stream with a token, removes the token, and waits until the stream ends."""
        watch: Any = self._client.catalog.WatchChanges
        changes = watch(WatchChangesRequest(), timeout=TIMEOUT_SECONDS, metadata=self._metadata(LEAVER))
        await changes.read()
        self._write_tokens([line for line in self._lines if LEAVER not in line])
        try:
            while await changes.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                print(f"removed token: the stream ended with {error.code().name}", file=sys.stderr, flush=True)
        finally:
            self._write_tokens(self._lines)
            await asyncio.sleep(20)  # The server logs each change of the file.

    def _write_tokens(self, lines: list[str]) -> None:
        new = self._tokens.with_suffix(".new")
        new.write_text("".join(lines), encoding="utf-8")
        new.replace(self._tokens)


async def _main(options: argparse.Namespace) -> None:
    harmful = Harmful(options.address, options.monitoring, options.tokens)
    await harmful.prepare()
    print("prepared", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*map(harmful.repeat, harmful.kinds))


def main() -> None:
    """Writes large documents, prints `prepared`, waits for a line of input, and makes the calls until it is killed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.harmful", description=__doc__)
    parser.add_argument("address", help="address of the gRPC port")
    parser.add_argument("monitoring", help="address of the port of the metrics")
    parser.add_argument("tokens", type=Path, help="file of tokens, which it changes")
    options = parser.parse_args()
    os.nice(NICENESS)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(options))


if __name__ == "__main__":
    main()
