import itertools
import random
import shutil
from pathlib import Path

import pytest

from chaja.v1 import Document
from tests.integration.durability.servers import ForkServer
from tests.integration.durability.stores import check, delete, start_server, write

GRAPH = ("--hnsw-from-vectors", "100")

Made = tuple[Path, dict[str, Document]]


@pytest.fixture(scope="module")
def made(forks: ForkServer, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A store with a snapshot that has a graph, and with changes behind the snapshot: directory, documents."""
    data = tmp_path_factory.mktemp("made") / "data"
    ids = [f"id {number}" for number in range(80)]
    server = start_server(forks, tiny_bundle, data, *GRAPH)
    with server.client() as client:
        documents = write(client, random.Random(1), ids)
        server.wait_for("the graph of the index has")
    assert server.stop() == 0
    assert list(data.glob("index/snapshot-*/vectors.graph"))
    server = start_server(forks, tiny_bundle, data, *GRAPH, constants={"server.writing.keeper.TENDING_SECONDS": 600.0})
    with server.client() as client:
        documents |= write(client, random.Random(2), ["id 3", "id 4", "new"])
        delete(client, ["id 5", "id 6"])
    server.kill()
    return data, {id: each for id, each in documents.items() if id not in ("id 5", "id 6")}


def files(data: Path) -> list[Path]:
    [snapshot] = data.glob("index/snapshot-*")
    return sorted(path.relative_to(data) for path in snapshot.rglob("*") if path.is_file() and path.stat().st_size)


def serves(forks: ForkServer, bundle: Path, data: Path, documents: dict[str, Document]) -> str:
    """Checks what a server of the store has; returns its log."""
    server = start_server(forks, bundle, data)  # The graph of the snapshot is used, and no other one built.
    with server.client() as client:
        check(client, documents)
    server.kill()
    return server.text


def test_a_whole_snapshot_is_used(made: Made, forks: ForkServer, tiny_bundle: Path, folder: Path) -> None:
    data, documents = made
    shutil.copytree(data, folder / "data")
    log = serves(forks, tiny_bundle, folder / "data", documents)
    assert "the index was loaded from the snapshot" in log
    assert "WARNING" not in log


@pytest.mark.slow
def test_whatever_is_wrong_with_a_snapshot_it_is_built_again(
    made: Made, forks: ForkServer, tiny_bundle: Path, folder: Path
) -> None:
    data, documents = made
    rng = random.Random(3)
    for damage, path in itertools.product(("flip", "cut", "remove"), files(data)):
        copy = folder / "data"
        shutil.copytree(data, copy)
        content = bytearray((copy / path).read_bytes())
        if damage == "remove":
            (copy / path).unlink()
        else:
            place = rng.randrange(len(content))
            if damage == "flip":
                content[place] ^= 1 << rng.randrange(8)
            else:
                del content[place:]
            (copy / path).write_bytes(content)
        log = serves(forks, tiny_bundle, copy, documents)
        assert "a snapshot of the index is removed" in log, f"{damage} of {path}"
        assert "Traceback" not in log
        shutil.rmtree(copy)


def test_a_snapshot_is_not_needed(made: Made, forks: ForkServer, tiny_bundle: Path, folder: Path) -> None:
    data, documents = made
    shutil.copytree(data, folder / "data", ignore=shutil.ignore_patterns("index"))
    assert "WARNING" not in serves(forks, tiny_bundle, folder / "data", documents)
