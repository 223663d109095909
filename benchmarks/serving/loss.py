"""Searches while bundles are swapped and the server restarts: no search may fail or differ."""

import asyncio
import contextlib
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import grpc

from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peaks
from benchmarks.serving.setting import NO_CACHE, PATIENT, Setting
from benchmarks.serving.swaps import swap, two_bundles
from chaja import AsyncClient, connect_async
from chaja.v1 import AdminServiceStub, ReloadRequest, SearchRequest
from sample.server_process import ServerProcess, running_server
from server.encoding.manifest import read_manifest

DEADLINE_SECONDS = 30.0
LIMIT = 5
MOST_TEXTS = 2000
"""Limit of texts. Each is searched once without load for the right answer."""

Change = Literal["watch", "SIGHUP", "Reload", "restart"]
CHANGES: tuple[Change, ...] = ("SIGHUP", "watch", "restart", "Reload", "watch", "restart", "SIGHUP")
"""The ways to make the server notice a swapped bundle; `restart` swaps nothing."""

WATCH_SECONDS = "0.5"
CHANGE_SECONDS = 300.0
"""Time limit of a change: a bundle loads slowly while the searches use all CPU."""

Answer = tuple[tuple[str, float], ...]


class ChangeFailed(Exception):
    """The server could not make a change; the message is its log line."""


@dataclass
class Tally:
    """Counts of the outcomes of searches.

    Attributes:
        sent: Number of searches.
        failed: Failed searches, by error.
        wrong: Answers that differ from those without load.
        longest_seconds: Duration of the longest search.
        changes: Changes made so far.
    """

    sent: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    longest_seconds: float = 0.0
    changes: Counter[str] = field(default_factory=Counter)


class ChangingServer:
    """A server that changes: its bundle is swapped, and it restarts on the same port."""

    process: ServerProcess

    def __init__(self, setting: Setting, link: Path) -> None:
        """Starts the server; `link` points to one of two bundles."""
        self._setting = setting
        self._link = link
        self._listen = "127.0.0.1:0"
        self._stack = contextlib.ExitStack()
        self._start()

    def stop(self) -> None:
        """Stops the server."""
        self._stack.close()

    async def make(self, change: Change) -> None:
        """Makes a change and waits for its end.

        Raises:
            ChangeFailed: The server logged an error instead.
        """
        if change == "restart":
            await asyncio.to_thread(self.stop)
            await asyncio.to_thread(self._start)
            return
        swap(self._link)
        if change == "SIGHUP":
            self.process.process.send_signal(signal.SIGHUP)
        elif change == "Reload":
            async with grpc.aio.insecure_channel(self.process.address) as channel:
                stub: Any = AdminServiceStub(channel)
                await stub.Reload(ReloadRequest(), timeout=CHANGE_SECONDS)
        done = f"of revision {read_manifest(self._link).revision}"
        async with asyncio.timeout(CHANGE_SECONDS):
            while done not in self._last_line("serving model"):
                if error := self._last_line(" ERROR "):
                    raise ChangeFailed(error)
                await asyncio.sleep(0.05)

    def _start(self) -> None:
        flags = ("--bundle", str(self._link), "--listen", self._listen, "--watch-seconds", WATCH_SECONDS)
        self.process = self._stack.enter_context(running_server(self._setting.arguments(*NO_CACHE, *PATIENT, *flags)))
        self._listen = self.process.address

    def _last_line(self, text: str) -> str:
        return next((line for line in reversed(self.process.lines) if text in line), "")


def measure_loss(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the number of failed and wrong searches."""
    del peaks
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        server = ChangingServer(setting, two_bundles(setting.bundle, Path(scratch)))
        try:
            tally = asyncio.run(_measure(setting, server))
        finally:
            server.stop()
    took = time.monotonic() - began
    restarts = tally.changes.pop("restart", 0)
    note = f"{setting.callers} in flight during all changes"
    yield Figure("searches", [tally.sent], "{:,.0f}", at_least=setting.requests, note=note)
    swaps = tally.changes.total()
    yield Figure("swaps of the bundle", [swaps], "{:.0f}", at_least=5, note=", ".join(CHANGES[: setting.changes]))
    yield Figure("restarts", [restarts], "{:.0f}", at_least=2)
    errors = "; ".join(f"{count} × {message}" for message, count in tally.failed.most_common(3))
    yield Figure("failed", [tally.failed.total()], "{:.0f}", at_most=0, note=errors)
    yield Figure("wrong", [tally.wrong], "{:.0f}", at_most=0, note="compared with the answers without load")
    yield Figure("longest search", [tally.longest_seconds], "{:.2f} s")
    yield Figure("duration", [took], "{:.1f} s")


async def _measure(setting: Setting, server: ChangingServer) -> Tally:
    tally = Tally()
    async with connect_async(server.process.address) as client:
        texts = [query.fields["query"] for query in setting.queries[:MOST_TEXTS]]
        expected = {text: await _search(client, text) for text in texts}
        known = list(expected)
        over = asyncio.Event()

        async def call() -> None:
            while tally.sent < setting.requests or not over.is_set():
                text = known[tally.sent % len(known)]
                tally.sent += 1
                sent = time.monotonic()
                try:
                    tally.wrong += await _search(client, text) != expected[text]
                except grpc.aio.AioRpcError as error:
                    tally.failed[f"{error.code().name}: {error.details()}"] += 1
                tally.longest_seconds = max(tally.longest_seconds, time.monotonic() - sent)

        async def change() -> None:
            try:
                for each in CHANGES[: setting.changes]:
                    await server.make(each)
                    tally.changes[each] += 1
            finally:
                over.set()  # Stops the callers also after a failure.

        await asyncio.gather(change(), *(call() for _ in range(setting.callers)))
    return tally


async def _search(client: AsyncClient, text: str) -> Answer:
    """Returns ids and scores of the hits."""
    search: Any = client.search.Search
    response = await search(SearchRequest(query=text, limit=LIMIT), timeout=DEADLINE_SECONDS)
    return tuple((hit.document_id, hit.score) for hit in response.hits)
