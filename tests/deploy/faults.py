"""Servers with a fault. Each is a context manager that yields a `Fault`: a healthy server, and a way to break it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import grpc

import chaja
from chaja.v1 import Document, LearnRequest, LocalizedText, SearchRequest, Upsert, UpsertDocumentsRequest
from sample.server_process import REPOSITORY, ServerProcess, running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.deploy import faulty_server
from tests.deploy.load import QUERIES, load
from tests.deploy.monitored import metrics_address
from tests.integration import slow_server
from tests.integration.certificates import Authority
from tests.integration.errors import code_of
from tests.integration.raw_calls import connected, opened
from tests.integration.scraping import scrape, total, value
from tests.integration.serving import wait_until

DISK_BYTES = 300 * 1024 * 1024
"""Size of the disk that is filled. So much memory is used for a while."""

SECONDS_PER_TOKEN = "0.003"
"""Time of the slow server for each token: a search takes longer than the objective of 100 ms."""

CALLERS = 16
"""Callers of the slow server, more than it can answer in time."""

RETRY_SECONDS = 0.5
SNAPSHOT_SECONDS = 2 * 3600
"""Age of the old snapshot."""


class WaitFor(Protocol):
    """Waits until an alert fires for a server with a severity, by default with all that it can have."""

    def __call__(self, name: str, severity: str = "") -> None: ...


class Fault(NamedTuple):
    """A healthy server, and a function that breaks it and waits for its alerts."""

    server: ServerProcess
    begin: Callable[[WaitFor], None]


def store_flags(bundle: Path, data: Path, *more: str) -> list[str]:
    return server_flags(bundle, SAMPLE_CATALOGUE, "--data", str(data), "--encode-workers", "1", *more)


def write(client: chaja.Client, number: int) -> None:
    document = Document(id=f"written {number}", titles=[LocalizedText(text=f"{number} {QUERIES[number % 40]}")])
    client.catalog.UpsertDocuments(UpsertDocumentsRequest(upserts=[Upsert(document=document)]), timeout=5)


def again_and_again(stopped: threading.Event, act: Callable[[int], None], *, pause_seconds: float) -> None:
    """Calls `act` until `stopped` is set, whatever error a call ends with. ValueError: the channel is closed."""
    number = 0
    while not stopped.wait(pause_seconds):
        number += 1
        with contextlib.suppress(grpc.RpcError, ValueError):
            act(number)


@contextlib.contextmanager
def deserted(bundle: Path, directory: Path) -> Iterator[Fault]:
    """Its callers stop. Then a client crashes the gRPC server several times, and the process is killed.

    The one that replaces it never finishes loading.
    """
    flags = store_flags(bundle, directory / "deserted")
    with running_server(flags) as server, contextlib.ExitStack() as calls:
        calls.enter_context(load(server.address))

        def begin(wait_for: WaitFor) -> None:
            calls.close()
            wait_for("ChajaNoTraffic")
            for crash in range(1, 6):
                with connected(server.address, opened(b"/\xff")):
                    wait_until(lambda: total(scrape(server.metrics_url), "chaja_grpc_restarts_total") == crash)  # noqa: B023
            wait_for("ChajaRestarts")
            server.process.kill()
            wait_for("ChajaDown", "page")
            command = [sys.executable, "-m", faulty_server.MODULE, *flags, "--metrics", metrics_address(server)]
            environment = {**os.environ, faulty_server.NEVER_LOADS: "1"}
            with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.DEVNULL) as loading:
                try:
                    wait_for("ChajaDown", "ticket")
                finally:
                    loading.kill()

        yield Fault(server, begin)


@contextlib.contextmanager
def overloaded(bundle: Path, directory: Path) -> Iterator[Fault]:
    """It is slow, and gets more searches than it can answer. Then a worker dies."""
    flags = ["--encode-workers", "2", "--longest-wait-seconds", "0.5", "--max-batch-tokens", "60"]
    stopped = threading.Event()
    with (
        running_server(store_flags(bundle, directory / "overloaded", *flags), module=slow_server.MODULE) as server,
        chaja.connect(server.address) as client,
        ThreadPoolExecutor(CALLERS) as callers,
    ):

        def search(caller: int, number: int) -> None:
            query = f"{1000 * caller + number:05}{'송금하고싶은데어떻게해야하나요' * 4}"[:60]
            try:
                client.search.Search(SearchRequest(query=query), timeout=30)
            except grpc.RpcError:
                stopped.wait(RETRY_SECONDS)

        def begin(wait_for: WaitFor) -> None:
            for caller in range(CALLERS):
                callers.submit(again_and_again, stopped, partial(search, caller), pause_seconds=0)
            for alert in ("ChajaSaturated", "ChajaErrorBudgetBurn", "ChajaLatencyBudgetBurn"):
                wait_for(alert)
            while value(scrape(server.metrics_url), "chaja_workers_alive") == 2:
                with contextlib.suppress(grpc.RpcError):
                    client.search.Search(SearchRequest(query=slow_server.DIE), timeout=5)
            wait_for("ChajaWorkerDead")

        try:
            yield Fault(server, begin)
        finally:
            stopped.set()
            client.close()


@contextlib.contextmanager
def full(bundle: Path, directory: Path) -> Iterator[Fault]:
    """The disk of its store is filled while it gets writes."""
    disk = directory / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", disk], check=True)  # noqa: S607
    stopped = threading.Event()
    try:
        with (
            running_server(store_flags(bundle, disk / "data")) as server,
            chaja.connect(server.address) as client,
            ThreadPoolExecutor(1) as writer,
        ):
            writer.submit(again_and_again, stopped, lambda number: write(client, number), pause_seconds=0.2)

            def begin(wait_for: WaitFor) -> None:
                with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
                    while True:
                        filler.write(bytes(65536))
                for alert in ("ChajaDiskFull", "ChajaWritesFail"):
                    wait_for(alert)

            try:
                yield Fault(server, begin)
            finally:
                stopped.set()
                client.close()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)  # noqa: S607


@contextlib.contextmanager
def neglected(bundle: Path, directory: Path) -> Iterator[Fault]:
    """Its graph has a low recall. Then its certificate expires, and backups, a reload and learning fail."""
    own = shutil.copytree(bundle, directory / "bundle")
    backups = directory / "backups"
    backups.mkdir()
    authority = Authority(directory, "authority")
    pair = authority.signed("server", days=30)
    expired = authority.signed("expired", days=-1)
    flags = store_flags(own, directory / "data", "--tls-certificate", str(pair.certificate), "--tls-key", str(pair.key))
    flags += ["--backup-directory", str(backups), "--backup-every-seconds", "1", "--backup-keep", "2"]
    flags += ["--hnsw-from-vectors", "100", "--watch-seconds", "0"]
    with (
        running_server(flags, module=faulty_server.MODULE) as server,
        load(server.address, credentials=authority.credentials()),
    ):

        def begin(wait_for: WaitFor) -> None:
            (own / "manifest.json").unlink()
            with chaja.connect(server.address, credentials=authority.credentials()) as client:
                assert code_of(client.feedback.Learn, LearnRequest()) is grpc.StatusCode.INTERNAL
            pair.replace(expired)
            backups.rename(directory / "unmounted")
            server.process.send_signal(signal.SIGHUP)
            names = ("CertificateExpires", "ReloadFailed", "BackupFailed", "BackupOld", "LearnFailed", "RecallLow")
            for name in names:
                wait_for(f"Chaja{name}")

        yield Fault(server, begin)


@contextlib.contextmanager
def unsaved(bundle: Path, directory: Path) -> Iterator[Fault]:
    """It gets writes, and its newest snapshot is hours old."""
    flags = store_flags(bundle, directory / "unsaved")
    with running_server(flags):
        pass
    (snapshot,) = (directory / "unsaved/index").glob("snapshot-*")
    os.utime(snapshot, (time.time() - SNAPSHOT_SECONDS,) * 2)
    with running_server(flags) as server, load(server.address):
        yield Fault(server, lambda wait_for: wait_for("ChajaSnapshotOld"))


@contextlib.contextmanager
def stalling(bundle: Path, directory: Path) -> Iterator[Fault]:
    """Its event loop is blocked again and again. Then its index no longer follows the store."""
    stopped = threading.Event()
    with (
        running_server(store_flags(bundle, directory / "stalling"), module=faulty_server.MODULE) as server,
        chaja.connect(server.address) as client,
        ThreadPoolExecutor(2) as threads,
    ):

        def begin(wait_for: WaitFor) -> None:
            block = lambda _: server.process.send_signal(signal.SIGUSR1)  # noqa: E731
            threads.submit(again_and_again, stopped, block, pause_seconds=faulty_server.BLOCKED_SECONDS * 1.3)
            server.process.send_signal(signal.SIGUSR2)
            threads.submit(again_and_again, stopped, lambda number: write(client, number), pause_seconds=1)
            for alert in ("ChajaEventLoopLag", "ChajaIndexStale"):
                wait_for(alert)

        try:
            yield Fault(server, begin)
        finally:
            stopped.set()
            client.close()


FAULTS: dict[str, Callable[[Path, Path], contextlib.AbstractContextManager[Fault]]] = {
    fault.__name__: fault for fault in (deserted, overloaded, full, neglected, unsaved, stalling)
}
"""By name. Each takes the bundle and a directory, in which it makes its own."""
