import collections
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

import chaja
from chaja.v1 import Document
from server.catalogue.database import DATABASE
from server.catalogue.store import Store
from server.live.snapshots import UNFINISHED
from tests.integration.durability.checking import check_searches, listed
from tests.integration.durability.documents import line_of, random_document
from tests.integration.durability.ledger import Attempt, Ledger, plain
from tests.integration.durability.load import GONE, Load
from tests.integration.durability.servers import ForkServer, Server, ServerDied
from tests.integration.durability.stores import start_server

SEED = int(os.environ.get("DURABILITY_SEED", "0"))
BURSTS = int(os.environ.get("DURABILITY_BURSTS", "40"))

LANES = 2
"""Number of stores tested in parallel."""

MOST_WRITES = 60
"""Maximum documents that a server acknowledges before it is killed."""

BURST_SECONDS = 1.0
"""Maximum time of writing to a server."""

FROM_OUTSIDE = ("at a time", "in a drain")
START_SECONDS = 0.5

FREQUENT = {
    "server.writing.live_catalogue.MAINTENANCE_SECONDS": 0.03,
    "server.writing.live_catalogue.SNAPSHOT_SECONDS": 0.0,
    "server.writing.live_catalogue.DEAD_SLOTS": 200,
}
"""Constants for frequent snapshots and rebuilds of the index."""


class Lane:
    """One store, and its consecutive servers."""

    def __init__(self, forks: ForkServer, bundle: Path, directory: Path, *, seed: int) -> None:
        self.forks = forks
        self.bundle = bundle
        self.directory = directory
        self.rng = random.Random(seed)
        self.ledger = Ledger()
        self.catalogue = directory / "catalogue.jsonl"
        self.of_file: dict[str, Document | None] = {
            "file-always": random_document(self.rng, "file-always", batch="file")
        }
        self._settled = True
        self.kills: collections.Counter[str] = collections.Counter()
        self.starts = 0
        self.killed_from_outside = False

    def start(self, **killed: int | str) -> Server:
        """Starts a server, sometimes with frequent snapshots, sometimes with graphs."""
        self.starts += 1
        if self._settled:
            self._settled = False
            self._write_file()
        flags = ["--catalogue", str(self.catalogue), "--max-catalogue-shrink", "1"]
        flags += ["--hnsw-from-vectors", "150" if self.starts % 6 == 1 else "100000"]
        constants = FREQUENT if self.starts % 3 else {}
        return start_server(self.forks, self.bundle, self.directory / "data", *flags, constants=constants, **killed)

    def _write_file(self) -> None:
        """Changes the catalogue file."""
        for id in self.rng.sample([f"file-{number}" for number in range(20)], self.rng.randrange(8)):
            self.of_file[id] = None if self.rng.random() < 0.3 else random_document(self.rng, id, batch="file")
        self.ledger.begin(Attempt(dict(self.of_file), alone=True))
        lines = [line_of(document) for document in self.of_file.values() if document is not None]
        self.catalogue.write_text("".join(lines), encoding="utf-8")

    def burst(self) -> None:
        """Starts a server, checks it, and kills it during writes."""
        how = self.rng.choice(("at a time", "at a time", "at a file", "in a snapshot", "at a statement", "in a drain"))
        self.killed_from_outside = False
        data = self.directory / "data"
        if how == "at a file":
            server = self.start(killed_at_file=self.rng.randrange(5, 300), killed_in=str(data))
        elif how == "in a snapshot":
            server = self.start(killed_at_file=self.rng.randrange(1, 30), killed_in=str(data / "index" / UNFINISHED))
        elif how == "at a statement":
            server = self.start(killed_at_statement=self.rng.randrange(200, 3000))
        else:
            server = self.start()
        try:
            server.address()
        except ServerDied:
            assert server.wait() == -9, server.text
            self.kills[f"{how}, while starting"] += 1
            return
        try:
            with server.client() as client:
                self._check_and_load(
                    client, server, draining=how == "in a drain", killing_itself=how not in FROM_OUTSIDE
                )
        except grpc.RpcError as error:
            if error.code() not in GONE or not server.ends():
                raise
        if how not in FROM_OUTSIDE and self.killed_from_outside:
            how = "at a time"
        assert server.wait() in (-signal.SIGKILL, 0), server.text
        self.kills[how] += 1
        self.kills["with a snapshot unfinished"] += bool(list(data.glob(f"index/{UNFINISHED}*")))
        if self.starts % 5 == 0:
            self._look_into_database()
        self.kills["with a graph"] += bool(list(data.glob("index/graphs-*/*")))

    def _look_into_database(self) -> None:
        """Checks that the killed server's database is intact: every document has vectors, every checksum is right."""
        copy = self.directory / "copy"
        copy.mkdir()
        for path in (self.directory / "data").glob(f"{DATABASE}*"):
            shutil.copy(path, copy)
        with contextlib.closing(Store(copy, serving=False)) as store:
            store.verify()
        with contextlib.closing(sqlite3.connect(copy / DATABASE)) as database:
            query = "SELECT id FROM documents WHERE sequence NOT IN (SELECT sequence FROM vectors)"
            assert not database.execute(query).fetchall(), "documents have no vectors"
        shutil.rmtree(copy)

    def _check_and_load(self, client: chaja.Client, server: Server, *, draining: bool, killing_itself: bool) -> None:
        load = Load(client, self.ledger, self.rng, name=str(self.starts))
        self.check(client, load)
        load.start()
        enough = self.ledger.acknowledged + (MOST_WRITES if killing_itself else self.rng.randrange(MOST_WRITES))
        until = time.monotonic() + BURST_SECONDS
        try:
            while self.ledger.acknowledged < enough and time.monotonic() < until and not server.ended:
                time.sleep(0.002)
            time.sleep(self.rng.uniform(0.0, 0.01))
            if draining and not server.ended:
                os.kill(server.pid, signal.SIGTERM)
                time.sleep(self.rng.uniform(0.0, 0.1))
            self.killed_from_outside = not server.ended
            server.kill()
        finally:
            load.stop()

    def check(self, client: chaja.Client, load: Load) -> None:
        """Compares the documents with the acknowledged ones, and repeats calls that got no answer."""
        documents = listed(client)
        sequence = check_searches(client, documents, self.rng)
        unanswered = self.ledger.settle(documents, sequence)
        for id, document in self.of_file.items():  # It serves, so the file was imported.
            there = documents.get(id)
            assert (None if there is None else plain(there)) == document, f"{id} differs from the catalogue file"
        self._settled = True
        for attempt in unanswered:
            if attempt.request_id:
                load.repeat_upsert(attempt, documents)

    def kill_while_starting(self) -> None:
        """Starts a server and kills it during its start or shortly after."""
        how = self.rng.choice(("time", "file", "statement"))
        if how == "time":
            server = self.start()
        elif how == "file":
            server = self.start(killed_at_file=self.rng.randrange(1, 60), killed_in=str(self.directory / "data"))
        else:
            server = self.start(killed_at_statement=self.rng.randrange(1, 300))
        server.ends(within_seconds=self.rng.uniform(0.0, START_SECONDS))
        self.kills[f"while starting, at a {how}" if server.ended else "while starting, at a time"] += 1
        server.kill()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_lost_when_the_server_is_killed(tiny_bundle: Path, folder: Path) -> None:
    def run(number: int) -> Lane:
        directory = folder / str(number)
        directory.mkdir()
        forks = ForkServer()
        lane = Lane(forks, tiny_bundle, directory, seed=SEED + number)
        try:
            for burst in range(BURSTS // LANES):
                if burst % 4 == 3:
                    lane.kill_while_starting()
                lane.burst()
        except BaseException as error:
            error.add_note(f"DURABILITY_SEED={SEED}, lane {number}, start {lane.starts}")
            raise
        finally:
            forks.close()
        return lane

    with ThreadPoolExecutor(LANES) as pool:
        for lane in pool.map(run, range(LANES)):
            assert lane.ledger.acknowledged
            assert sum(lane.kills.values()) >= BURSTS // LANES, lane.kills
