import contextlib
import io
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chaja.v1 import Document
from server.catalogue.database import DATABASE
from server.commands import run
from tests.integration.durability.servers import Server, ServerDied
from tests.integration.durability.stores import check, delete, write

Start = Callable[..., Server]
Made = tuple[Path, Path, dict[str, Document]]


@pytest.fixture(scope="module")
def made(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A stopped store with documents and a backup: directory, backup, documents."""
    data = tmp_path_factory.mktemp("made") / "data"
    server = start(data)
    with server.client() as client:
        documents = write(client, random.Random(1), [f"id {number}" for number in range(40)])
        delete(client, ["id 1", "id 2"])
        written = io.StringIO()
        with contextlib.redirect_stdout(written):  # While the server serves.
            run(["backup", "--data", str(data)])
    assert server.stop() == 0
    backup = Path(written.getvalue().strip())
    assert backup.parent == data / "backups"
    return data, backup, {id: each for id, each in documents.items() if id not in ("id 1", "id 2")}


def refusal(server: Server) -> str:
    """Returns the error line of a server that cannot start."""
    with pytest.raises(ServerDied):
        server.address()
    assert server.wait() == 1
    lines = [line for line in server.text.splitlines() if " INFO " not in line]
    assert len(lines) == 1, server.text
    return lines[0]


def cut(content: bytearray) -> None:
    del content[len(content) // 2 :]


def flipped(content: bytearray) -> None:
    rng = random.Random(3)
    for start in range(8192, len(content), 4096):
        content[start + rng.randrange(2000, 4096)] ^= 0x10


@pytest.mark.parametrize("damage", [cut, flipped])
def test_a_damaged_database_is_named_and_restored(
    made: Made, start: Start, folder: Path, damage: Callable[[bytearray], None]
) -> None:
    whole, made_backup, documents = made
    data = folder / "data"
    shutil.copytree(whole, data)
    backup = data / "backups" / made_backup.name
    content = bytearray((data / DATABASE).read_bytes())
    damage(content)
    (data / DATABASE).write_bytes(content)
    line = refusal(start(data))
    assert line.startswith(f"server: error: {data / DATABASE} is damaged")
    assert f"python -m server restore --data {data} --from {backup}" in line
    run(["restore", "--data", str(data), "--from", str(backup)])
    with start(data) as server, server.client() as client:
        check(client, documents)
        documents = documents | write(client, random.Random(5), ["id 3", "id 100"])
        check(client, documents)
    with start(data) as server, server.client() as client:
        check(client, documents)


def test_no_snapshot_of_another_history_is_used(made: Made, start: Start, folder: Path) -> None:
    """A restored backup gets other writes, until its sequence is that of a snapshot of the replaced database."""
    whole, backup, documents = made
    data = folder / "data"
    shutil.copytree(whole, data)
    with start(data) as server, server.client() as client:
        write(client, random.Random(6), [f"lost {number}" for number in range(5)])
        assert server.stop() == 0
    [snapshot] = (data / "index").glob("snapshot-*")
    run(["restore", "--data", str(data), "--from", str(data / "backups" / backup.name)])
    kept = folder / snapshot.name
    shutil.copytree(snapshot, kept)
    with start(data) as server, server.client() as client:
        check(client, documents)
        documents = documents | write(client, random.Random(7), [f"new {number}" for number in range(8)])
    shutil.rmtree(data / "index")
    shutil.copytree(kept, data / "index" / snapshot.name)
    with start(data) as server, server.client() as client:
        check(client, documents)
