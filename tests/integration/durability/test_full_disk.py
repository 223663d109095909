"""A full disk, simulated by a limit on the size of files: writes fail, and everything else works."""

import contextlib
import random
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

import chaja
from chaja.v1 import Document, LocalizedText, Upsert, UpsertDocumentsRequest
from server.catalogue.database import DATABASE
from server.writing.live_catalogue import FAILED_SECONDS
from tests.integration.durability.checking import listed
from tests.integration.durability.documents import words
from tests.integration.durability.servers import Server, ServerDied
from tests.integration.durability.stores import check, write

Start = Callable[..., Server]

ROOM_BYTES = 250_000

GRAPH_VECTORS = 1100

FREQUENT = {
    "server.writing.live_catalogue.MAINTENANCE_SECONDS": 0.05,
    "server.writing.live_catalogue.SNAPSHOT_SECONDS": 0.0,
}
"""Constants for frequent snapshots."""


def limit(server: Server, file_bytes: int) -> None:
    """Limits the size of a server's files from now on; -1 removes the limit."""
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (file_bytes, -1))


@pytest.fixture
def server(start: Start, folder: Path) -> Iterator[Server]:
    with start(folder / "data", constants=FREQUENT) as server:
        yield server


def fill(client: chaja.Client, rng: random.Random, documents: dict[str, Document]) -> None:
    """Writes until the disk is full; adds the acknowledged documents to `documents`."""

    def write_on() -> None:
        while True:
            number = len(documents)
            documents.update(write(client, rng, [f"id {number + each}" for each in range(rng.choice((1, 5, 20)))]))

    with pytest.raises(grpc.RpcError) as caught:
        write_on()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "is full or fails" in (caught.value.details() or "")


def test_a_full_disk_loses_no_document_and_writes_resume_when_there_is_room(
    server: Server, start: Start, folder: Path
) -> None:
    rng = random.Random(1)
    documents: dict[str, Document] = {}
    with server.client() as client:
        documents |= write(client, rng, ["first"])
        limit(server, ROOM_BYTES)
        for _ in range(3):
            fill(client, rng, documents)
            check(client, documents)
        limit(server, 3 * ROOM_BYTES)
        documents |= write(client, rng, ["second", "first"])
        check(client, documents)
        fill(client, rng, documents)
        check(client, documents)
        server.kill()
    assert "Traceback" not in server.text
    with start(folder / "data") as again, again.client() as client:
        check(client, documents)
        documents |= write(client, rng, ["last"])
        check(client, documents)
        assert again.stop() == 0


def test_a_server_starts_and_stops_on_a_full_disk(server: Server, start: Start, folder: Path) -> None:
    rng = random.Random(2)
    with server.client() as client:
        documents = write(client, rng, [f"id {number}" for number in range(100)])
        documents |= write(client, rng, [f"id {number}" for number in range(20)])
    assert server.stop() == 0
    with start(folder / "data", file_bytes=40_000) as full, full.client() as client:
        check(client, documents)
        with pytest.raises(grpc.RpcError):
            write(client, rng, [f"id {number}" for number in range(50)])
        check(client, documents)
        assert len(listed(client)) == len(documents)
        stops_soon(full)
    assert "Traceback" not in full.text


def test_a_server_stops_soon_if_the_folder_of_its_index_cannot_be_written(start: Start, folder: Path) -> None:
    index = folder / "data" / "index"
    with start(folder / "data") as server, server.client() as client:
        write(client, random.Random(4), ["first"])
        index.rename(index.with_name("aside"))
        index.write_text("a file in its place: writing fails, for root too")
        stops_soon(server)
    assert "the index cannot be saved" in server.text
    assert "Traceback" not in server.text


def stops_soon(server: Server) -> None:
    """Stops a server, which must not wait for anything."""
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < FAILED_SECONDS / 2


def test_a_disk_too_full_to_open_the_database_is_reported(server: Server, start: Start, folder: Path) -> None:
    with server.client() as client:
        documents = write(client, random.Random(2), ["first"])
    assert server.stop() == 0
    full = start(folder / "data", file_bytes=20_000)
    with pytest.raises(ServerDied):
        full.address()
    assert full.wait() == 1
    *_, line = full.text.splitlines()
    assert line.startswith(f"server: error: the disk of {folder / 'data'} is full or fails")
    with start(folder / "data") as again, again.client() as client:
        check(client, documents)


def test_the_server_works_without_a_snapshot_or_graph_that_cannot_be_written(start: Start, folder: Path) -> None:
    rng = random.Random(3)
    flags = ("--index-storage", "f32", "--hnsw-from-vectors", str(GRAPH_VECTORS))
    server = start(folder / "data", *flags, constants=FREQUENT)
    with server.client() as client:
        documents = write(client, rng, [f"id {number}" for number in range(190)])
        with contextlib.closing(sqlite3.connect(folder / "data" / DATABASE)) as database:
            vectors = database.execute("SELECT sum(length(spans) / 12) FROM vectors").fetchone()[0]
            assert 700 < vectors < GRAPH_VECTORS
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # The write-ahead log was restarted and still has room, but files of vectors have none.
        limit(server, 110_000)
        many = Document(id="many", titles=[LocalizedText(text="많다")])
        many.examples.extend(words(rng, 8) for _ in range(GRAPH_VECTORS - vectors))
        request = UpsertDocumentsRequest(upserts=[Upsert(document=many)])
        [result] = client.catalog.UpsertDocuments(request).results
        many.version = result.version
        documents["many"] = many
        server.wait_for("the index cannot be saved")
        server.wait_for("the index continues without a new graph")
        check(client, documents)
        limit(server, -1)
        documents |= write(client, rng, ["last"])
        check(client, documents)
    assert server.stop() == 0
    assert "Traceback" not in server.text
    again = start(folder / "data", *flags)
    with again.client() as client:
        check(client, documents)
        again.wait_for("the graph of the index has")
        check(client, documents)
    assert "the index was loaded from the snapshot" in again.text
    assert again.stop() == 0
